/// What an adapter that was written holds, tensor by tensor.
public final class LowRankReport: Sendable {
  public let tensors: [TensorLoss]
  /// Of every module in the file, padding included.
  public let rank: Int

  init(_ tensors: [TensorLoss], rank: Int) {
    self.tensors = tensors
    self.rank = rank
  }

  /// Of all tensors together: √(Σ lost² / Σ norm²).
  public var error: Double {
    let norm = tensors.reduce(0) { $0 + $1.norm * $1.norm }
    return norm > 0 ? (tensors.reduce(0) { $0 + $1.lost * $1.lost } / norm).squareRoot() : 0
  }
}
