import Platform

/// From what a user wants to how much of each backbone goes in.
///
/// Holds what `soup.json` says about objectives, matrix, extrapolation and guard rails. Immutable, so it may be used
/// from any number of threads; a resolution costs a few thousand operations.
public struct PreferenceSolver: Sendable {
  public let objectives: [Objective]
  public let matrix: BackboneMatrix
  public let extrapolation: Extrapolation
  public let guardRails: GuardRails
  /// The preference of a caller who states none: the objectives' defaults, divided by their sum. Objectives without a
  /// default share equally what the others leave of 1. Moved to the nearest one within the objectives' limits.
  public let defaultPreference: [Double]

  private let box: PreferenceBox

  /// How far |Σμ − 1| may be from 0.
  public static let sumTolerance = 2e-2
  /// Differences up to this are rounding of the host's (as of f32, unlike .33 written three times): a sum, a limit or a
  /// coefficient that misses by no more counts as met, and is not reported.
  public static let rounding = 1e-6
  /// A sum this close to 1 is left alone, so that a preference that was used once is used again with the same bits.
  static let exactSum = 1e-12

  /// Throws `.mismatch` where counts do not fit, `.invalidArgument` where a name is given twice or an objective's
  /// numbers are wrong, `.guardRail` where the limits leave no preference.
  /// - Parameter extrapolation: nil stretches nothing.
  public init(
    objectives: [Objective], matrix: BackboneMatrix, extrapolation: Extrapolation? = nil, guardRails: GuardRails = .none
  ) throws(BoneSoupError) {
    guard objectives.count == matrix.objectiveCount else {
      throw .mismatch(
        "the backbone matrix has \(matrix.objectiveCount) columns, but there are \(objectives.count) objectives")
    }
    for (index, objective) in objectives.enumerated() {
      try objective.check()
      if objectives[..<index].contains(where: { $0.name == objective.name }) {
        throw .invalidArgument("two objectives have the name \"\(objective.name)\"")
      }
    }
    let box = try PreferenceBox(objectives: objectives)
    let defaults = try Self.normalizedDefaults(objectives)
    self.objectives = objectives
    self.matrix = matrix
    self.extrapolation = if let extrapolation { extrapolation } else { try .none(matrix) }
    self.guardRails = guardRails
    self.box = box
    defaultPreference = box.project(defaults)
  }

  /// The coefficients of a preference.
  ///
  /// Throws `.mismatch` for a wrong length, `.invalidArgument` for a value that is negative, infinite or not a number
  /// or a sum off by more than `sumTolerance`; `.guardRail`; `.unsolvable` where no coefficients give it.
  /// - Parameters:
  ///   - preference: one value for each objective.
  ///   - isFull: for each backbone whether it is a full checkpoint, whose coefficient takes from the base's share.
  public func resolve(preference: [Double], isFull: [Bool]) throws(BoneSoupError) -> Resolution {
    var (used, adjustments) = try normalize(preference)
    try enforceLimits(&used, &adjustments)
    let coefficients = try extrapolation.coefficients(for: used, matrix: matrix)
    for (index, value) in coefficients.enumerated() where !Float(value).isFinite {
      throw .unsolvable(
        "the coefficient of backbone \(index) is \(value), which f32 cannot hold; the backbone matrix's numbers or the "
          + "extrapolation factors are too extreme")
    }
    return try Resolution(
      preference: used, coefficients: coefficients, adjustments: adjustments, guardRails: guardRails, isFull: isFull)
  }

  private func enforceLimits(
    _ preference: inout [Double], _ adjustments: inout PreferenceAdjustments
  ) throws(BoneSoupError) {
    if let index = box.violation(preference, tolerance: Self.rounding) {
      if guardRails.onViolation == .reject { throw .guardRail(describeViolation(index, preference[index])) }
      adjustments.insert(.clamped)
    }
    preference = box.project(preference)
  }

  private func describeViolation(_ index: Int, _ value: Double) -> String {
    let objective = objectives[index]
    let limit =
      value < objective.minimum ? "below its min \(objective.minimum)" : "above its max \(objective.maximum)"
    return "the preference for objective \"\(objective.name)\" is \(value), \(limit); "
      + "change it, or let the soup's guard clamp"
  }
}
