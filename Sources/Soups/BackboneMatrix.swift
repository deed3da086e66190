import Platform

/// The backbone matrix B, m×n: row i is the mix of the n objectives' rewards that backbone i was trained on.
///
/// Solves Bᵀλ = μ for the coefficients λ of a preference μ, so that Σᵢ λᵢR_i = Σ_j μ_j r_j (Bone Soup, arXiv
/// 2502.10762). Decomposed once, when made; a solution then costs 2·m·n products. Immutable.
public struct BackboneMatrix: Sendable {
  /// m: 1 … 64.
  public let backboneCount: Int
  /// n: 1 … 64.
  public let objectiveCount: Int
  /// m rows of n numbers.
  public let rows: [[Double]]
  /// σ_max / σ_min, at most `conditionLimit`.
  public let conditionNumber: Double

  /// Backbones, and objectives, that a soup may have.
  public static let countLimit = 64
  /// A matrix worse conditioned than this is refused: errors of the rewards would be multiplied by it.
  public static let conditionLimit = 1e6
  /// For m < n: how far Bᵀλ may be from μ, in the largest element.
  public static let residualLimit = 1e-6
  /// Eight units in the last place of 1 as f32: coefficients this close to 0 or 1 become it.
  public static let snapDistance = 0x1p-20

  /// pinv(Bᵀ), m rows of n numbers.
  private let inverse: [[Double]]

  /// Any B.
  ///
  /// Throws `.invalidArgument` for rows that are no finite matrix, `.unsolvable` where B has not full rank or its
  /// condition number is above `conditionLimit`.
  public init(rows: [[Double]]) throws(BoneSoupError) {
    try Self.check(rows)
    let height = rows.count
    let width = rows[0].count
    let largest = rows.reduce(0) { $1.reduce($0) { max($0, $1.magnitude) } }
    guard largest > 0 else {
      throw .unsolvable("the backbone matrix is all zeros, so no backbone serves any objective")
    }
    let scaled = rows.map { $0.map { $0 / largest } }
    let transposed = (0..<width).map { column in scaled.map { $0[column] } }

    let isTall = height > width
    let decomposition = SingularValues(columns: isTall ? transposed : scaled)
    let greatest = decomposition.values.max() ?? 0
    let least = decomposition.values.min() ?? 0
    conditionNumber = greatest / least
    guard conditionNumber <= Self.conditionLimit else {
      throw .unsolvable(Self.describeIllConditioned(conditionNumber, height, width))
    }
    let (outer, inner) =
      isTall ? (decomposition.left, decomposition.right) : (decomposition.right, decomposition.left)
    inverse = (0..<height).map { row in
      (0..<width).map { column in
        var sum = 0.0
        for (index, value) in decomposition.values.enumerated() {
          sum += outer[index][row] / value * inner[index][column]
        }
        return sum / largest
      }
    }
    backboneCount = height
    objectiveCount = width
    self.rows = rows
  }

  /// Bone Soup's rule, m = n = `count` ≥ 2: β on the diagonal, (1 − β)/(n − 1) elsewhere. β = 1 is Rewarded Soup.
  ///
  /// Throws `.invalidArgument` for a count below 2 or above the limit or a β that is not finite, `.unsolvable` for β =
  /// 1/n and near it.
  public static func bone(beta: Double, count: Int) throws(BoneSoupError) -> BackboneMatrix {
    guard count >= 2, count <= countLimit else {
      throw .invalidArgument("the bone rule needs 2 to \(countLimit) backbones and as many objectives, not \(count)")
    }
    guard beta.isFinite else { throw .invalidArgument("the bone rule's beta is \(beta); it must be a finite number") }
    guard beta != 1 / Double(count) else {
      throw .unsolvable(
        "beta = 1/\(count) trains all \(count) backbones on the same mix, so the backbone matrix is singular; "
          + "take another beta, such as 0.6")
    }
    let rest = (1 - beta) / Double(count - 1)
    return try BackboneMatrix(rows: (0..<count).map { row in (0..<count).map { $0 == row ? beta : rest } })
  }

  /// One backbone for each objective: λ = μ.
  public static func identity(count: Int) throws(BoneSoupError) -> BackboneMatrix {
    guard count >= 1, count <= countLimit else {
      throw .invalidArgument("a backbone matrix has 1 to \(countLimit) rows, not \(count)")
    }
    return try BackboneMatrix(rows: (0..<count).map { row in (0..<count).map { $0 == row ? 1 : 0 } })
  }

  /// λ with Bᵀλ = μ, snapped: λᵢ within `snapDistance` of 0 or 1 is exactly that.
  ///
  /// λ may be negative or above 1. m > n: the exact solution nearest to (1/m, …, 1/m). m < n: throws `.unsolvable` with
  /// the residual where μ is outside the span of the rows.
  /// - Parameter preference: n finite numbers; their signs and their sum are not checked here.
  public func coefficients(for preference: [Double]) throws(BoneSoupError) -> [Double] {
    try solve(preference).map(Self.snap)
  }

  /// As `coefficients(for:)`, not snapped.
  func solve(_ preference: [Double]) throws(BoneSoupError) -> [Double] {
    guard preference.count == objectiveCount else {
      throw .mismatch(
        "the preference has \(preference.count) values, but there are \(objectiveCount) objectives")
    }
    for (index, value) in preference.enumerated() where !value.isFinite {
      throw .invalidArgument("the preference for objective \(index) is \(value); it must be a finite number")
    }
    let start = backboneCount > objectiveCount ? 1 / Double(backboneCount) : 0
    var solution = [Double](repeating: start, count: backboneCount)
    // The second step takes off what rounding left of the residual in the first.
    for _ in 0..<2 {
      let missing = residual(preference, solution)
      for row in 0..<backboneCount { solution[row] += dot(inverse[row], missing) }
    }
    for (index, value) in solution.enumerated() where !value.isFinite {
      throw .unsolvable(
        "the coefficient of backbone \(index) is \(value); the backbone matrix's numbers are too extreme")
    }
    if backboneCount < objectiveCount { try checkResidual(preference, solution) }
    return solution
  }

  static func snap(_ coefficient: Double) -> Double {
    if coefficient.magnitude <= snapDistance { return 0 }
    return (coefficient - 1).magnitude <= snapDistance ? 1 : coefficient
  }

  /// μ − Bᵀλ.
  private func residual(_ preference: [Double], _ coefficients: [Double]) -> [Double] {
    var rest = preference
    for (row, coefficient) in zip(rows, coefficients) {
      for column in 0..<objectiveCount { rest[column] -= row[column] * coefficient }
    }
    return rest
  }

  private func checkResidual(_ preference: [Double], _ coefficients: [Double]) throws(BoneSoupError) {
    let residual = residual(preference, coefficients)
    var worst = 0
    for column in 0..<objectiveCount where !(residual[column].magnitude <= residual[worst].magnitude) { worst = column }
    let size = residual[worst].magnitude
    guard size <= Self.residualLimit else {
      throw .unsolvable(
        "\(backboneCount) backbones cannot give every preference over \(objectiveCount) objectives: the nearest mix "
          + "misses objective \(worst) by \(size), and at most \(Self.residualLimit) is allowed; ask for a mix of the "
          + "backbone matrix's rows, or add backbones")
    }
  }

  private static func check(_ rows: [[Double]]) throws(BoneSoupError) {
    guard let width = rows.first?.count, rows.count <= countLimit, width >= 1, width <= countLimit else {
      throw .invalidArgument(
        "a backbone matrix has 1 to \(countLimit) rows (backbones) of 1 to \(countLimit) numbers (objectives), "
          + "not \(rows.count) rows of \(rows.first?.count ?? 0)")
    }
    for (index, row) in rows.enumerated() {
      guard row.count == width else {
        throw .invalidArgument("row \(index) of the backbone matrix has \(row.count) numbers, but row 0 has \(width)")
      }
      for (column, value) in row.enumerated() where !value.isFinite {
        throw .invalidArgument(
          "row \(index), column \(column) of the backbone matrix is \(value); it must be a finite number")
      }
    }
  }

  private static func describeIllConditioned(_ condition: Double, _ height: Int, _ width: Int) -> String {
    let isDeficient = !(condition < 1e13)
    return
      "the \(height)×\(width) backbone matrix is \(isDeficient ? "singular" : "ill-conditioned") (condition number "
      + "\(condition), at most \(conditionLimit) is allowed): some backbones' reward mixes are the same, or "
      + "combinations of each other; use backbones that were trained on mixes further apart"
  }
}
