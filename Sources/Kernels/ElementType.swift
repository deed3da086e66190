/// The formats of numbers that the kernels read and write.
public enum ElementType: UInt8, Sendable, CaseIterable {
  /// IEEE 754 binary32.
  case f32 = 0
  /// IEEE 754 binary16.
  case f16 = 1
  /// The upper 16 bits of binary32.
  case bf16 = 2

  /// Bytes of one element.
  public var byteCount: Int { self == .f32 ? 4 : 2 }

  /// As users write it.
  public var name: String {
    switch self {
    case .f32: "f32"
    case .f16: "f16"
    case .bf16: "bf16"
    }
  }
}
