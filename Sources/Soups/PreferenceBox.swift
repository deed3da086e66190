import Platform

/// The preferences that the objectives' limits allow: {μ : min_j ≤ μ_j ≤ max_j, Σμ_j = 1}, never empty.
public struct PreferenceBox: Sendable {
  public let minimum: [Double]
  public let maximum: [Double]

  /// Throws `.guardRail` where no preference is within the limits.
  /// - Parameter objectives: checked ones.
  public init(objectives: [Objective]) throws(BoneSoupError) {
    minimum = objectives.map(\.minimum)
    maximum = objectives.map(\.maximum)
    let least = minimum.reduce(0, +)
    let most = maximum.reduce(0, +)
    guard least <= 1 + 1e-9 else {
      throw .guardRail("the objectives' min values sum to \(least), which leaves no preference; they may sum to 1")
    }
    guard most >= 1 - 1e-9 else {
      throw .guardRail("the objectives' max values sum to \(most), which leaves no preference; they must reach 1")
    }
  }

  /// The first objective whose value is outside its limits by more than `tolerance`.
  func violation(_ preference: [Double], tolerance: Double) -> Int? {
    preference.indices.first {
      preference[$0] < minimum[$0] - tolerance || preference[$0] > maximum[$0] + tolerance
    }
  }

  /// The nearest point of the box in the Euclidean norm; a point inside, of sum 1, stays as it is.
  ///
  /// It is clamp(μ_j − τ, min_j, max_j) for the one τ that makes the sum 1; the sum falls piecewise linearly with τ and
  /// bends where an element meets a limit, so the piece is found among the 2n bends and solved exactly.
  func project(_ preference: [Double]) -> [Double] {
    if violation(preference, tolerance: 0) == nil { return preference }
    let bends = (zip(preference, minimum).map { $0 - $1 } + zip(preference, maximum).map { $0 - $1 }).sorted()
    var low = bends.first ?? 0
    var high = bends.last ?? 0
    for bend in bends {
      if shifted(preference, by: bend).reduce(0, +) >= 1 {
        low = bend
      } else {
        high = bend
        break
      }
    }
    let middle = low + (high - low) / 2
    var fixed = 0.0
    var movable = 0.0
    var movableCount = 0
    for (index, value) in preference.enumerated() {
      if value - middle <= minimum[index] {
        fixed += minimum[index]
      } else if value - middle >= maximum[index] {
        fixed += maximum[index]
      } else {
        movable += value
        movableCount += 1
      }
    }
    let shift = movableCount > 0 ? (movable + fixed - 1) / Double(movableCount) : middle
    return settle(shifted(preference, by: shift))
  }

  private func shifted(_ preference: [Double], by shift: Double) -> [Double] {
    preference.indices.map { min(max(preference[$0] - shift, minimum[$0]), maximum[$0]) }
  }

  /// Gives what rounding left of the sum to elements between their limits.
  private func settle(_ preference: [Double]) -> [Double] {
    var result = preference
    for index in result.indices where result[index] > minimum[index] && result[index] < maximum[index] {
      let rest = 1 - result.reduce(0, +)
      if rest == 0 { break }
      result[index] = min(max(result[index] + rest, minimum[index]), maximum[index])
    }
    return result
  }
}
