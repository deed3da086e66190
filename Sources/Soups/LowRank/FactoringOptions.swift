public import Kernels

/// How a full backbone is made low-rank.
public struct FactoringOptions: Sendable {
  /// What becomes of norms and biases that differ from the base's.
  public enum Vectors: Sendable {
    /// They are an error, named.
    case refused
    /// They are left as in the base, and reported as lost.
    case dropped
  }

  /// Of every matrix, at most; nil is the smallest that keeps to `maximumError`.
  public var rank: Int?
  /// ‖Δ − UD‖ / ‖Δ‖ of each matrix (Frobenius norms), where no rank is given.
  public var maximumError = 0.1
  /// Of the file.
  public var type = ElementType.f32
  public var vectors = Vectors.refused

  public init() {}
}
