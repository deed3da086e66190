import Platform

/// How far each vertex is stretched away from the base: λ(μ) = Σ_j μ_j·k_j·λ(e_j), k_j = 1/(1 − a_j) ≥ 1.
///
/// From Bone Soup's vertex extrapolation; ExPO (arXiv 2404.16792) is the same stretch.
public struct Extrapolation: Sendable {
  /// k, one for each objective.
  public let factors: [Double]
  /// k_j·λ(e_j) for each objective j; nil where every factor is 1.
  private let vertices: [[Double]]?

  /// Throws `.mismatch` for other than n factors, `.invalidArgument` for one that is not finite and at least 1,
  /// `.unsolvable` where one is above 1 and there are fewer backbones than objectives, since not every λ(e_j) exists
  /// then.
  public init(factors: [Double], matrix: BackboneMatrix) throws(BoneSoupError) {
    guard factors.count == matrix.objectiveCount else {
      throw .mismatch(
        "extrapolation has \(factors.count) factors, but there are \(matrix.objectiveCount) objectives")
    }
    for (index, factor) in factors.enumerated() where !(factor >= 1 && factor.isFinite) {
      throw .invalidArgument("the extrapolation factor of objective \(index) is \(factor); it must be at least 1")
    }
    self.factors = factors
    guard factors.contains(where: { $0 != 1 }) else {
      vertices = nil
      return
    }
    guard matrix.backboneCount >= matrix.objectiveCount else {
      throw .unsolvable(
        "extrapolation needs at least as many backbones as objectives, and there are \(matrix.backboneCount) for "
          + "\(matrix.objectiveCount); make every factor 1, or add backbones")
    }
    var stretched: [[Double]] = []
    for (index, factor) in factors.enumerated() {
      let vertex = factors.indices.map { $0 == index ? 1.0 : 0.0 }
      stretched.append(try matrix.solve(vertex).map { $0 * factor })
    }
    vertices = stretched
  }

  /// No stretch.
  public static func none(_ matrix: BackboneMatrix) throws(BoneSoupError) -> Extrapolation {
    try Extrapolation(factors: [Double](repeating: 1, count: matrix.objectiveCount), matrix: matrix)
  }

  /// The coefficients of a preference, stretched, snapped as `BackboneMatrix.coefficients(for:)` does.
  /// - Parameter preference: n numbers that sum to 1.
  public func coefficients(
    for preference: [Double], matrix: BackboneMatrix
  ) throws(BoneSoupError) -> [Double] {
    guard let vertices, preference.count == vertices.count else { return try matrix.coefficients(for: preference) }
    var sum = [Double](repeating: 0, count: matrix.backboneCount)
    for (weight, vertex) in zip(preference, vertices) {
      for index in sum.indices { sum[index] += weight * vertex[index] }
    }
    return sum.map(BackboneMatrix.snap)
  }
}
