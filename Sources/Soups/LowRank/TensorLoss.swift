/// What a change of one tensor became in an adapter.
public struct TensorLoss: Sendable {
  /// As the model names the tensor.
  public let name: String
  public let shape: [Int]
  /// Ranks in use, without padding; 0 where nothing of the change is kept.
  public let rank: Int
  /// ‖Δ‖, Frobenius.
  public let norm: Double
  /// ‖Δ − what the file holds‖.
  public let lost: Double

  /// lost / norm; 0 where there is no change.
  public var error: Double { norm > 0 ? lost / norm : 0 }
}
