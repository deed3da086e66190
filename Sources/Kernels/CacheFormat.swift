/// The formats of keys and values in a cache.
public enum CacheFormat: UInt8, Sendable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case bf16 = 2
  /// Signed bytes with an f16 scale for each 32 elements; head sizes are multiples of 32.
  case q8_0 = 3

  /// Positions in a block.
  public static let blockLength = 64

  /// The one for weights of a format where the host names none. f16 rounds eight times less than bf16, which shows in the
  /// logits: 7.3e-3 of their deviation instead of 8.6e-3 with bf16 weights in the shape of Qwen2.5-0.5B.
  public init(for format: WeightFormat) { self = format == .f32 ? .f32 : .f16 }

  /// As users write it.
  public var name: String {
    switch self {
    case .f32: "f32"
    case .f16: "f16"
    case .bf16: "bf16"
    case .q8_0: "q8_0"
    }
  }

  /// Whether heads of this size can be kept.
  public func takes(headSize: Int) -> Bool { headSize > 0 && (self != .q8_0 || headSize % 32 == 0) }

  /// Bytes of one head's keys, or values, of a block.
  public func panelBytes(headSize: Int) -> Int {
    switch self {
    case .f32: Self.blockLength * headSize * 4
    case .f16: Self.blockLength * headSize * 2
    // Elements lie in pairs.
    case .bf16: Self.blockLength * (headSize + headSize % 2) * 2
    case .q8_0: Self.blockLength * (headSize + headSize / 32 * 2)
    }
  }
}
