/// The formats of the model's matrices at run time: how their numbers lie in panels of 32 rows.
public enum WeightFormat: UInt8, Sendable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case bf16 = 2
  /// ggml's q8_0: blocks of 32 numbers of 8 bits with a scale in f16.
  case q8_0 = 3
  /// ggml's q4_0: blocks of 32 numbers of 4 bits with a scale in f16.
  case q4_0 = 4
  /// Blocks of 128 numbers of 8 bits with a scale in f16: fewer scales than q8_0, hence faster, and a little coarser.
  case q8_128 = 5

  /// As users write it.
  public var name: String {
    switch self {
    case .f32: "f32"
    case .f16: "f16"
    case .bf16: "bf16"
    case .q8_0: "q8_0"
    case .q4_0: "q4_0"
    case .q8_128: "q8_128"
    }
  }

  /// The format of single numbers; nil where they stand in blocks.
  public var elementType: ElementType? { ElementType(rawValue: rawValue) }

  public init(_ type: ElementType) {
    self =
      switch type {
      case .f32: .f32
      case .f16: .f16
      case .bf16: .bf16
      }
  }

  /// The format of embedding and head: in the coarsest format they are kept finer, since they decide on every token.
  public var ofEnds: WeightFormat { self == .q4_0 ? .q8_0 : self }

  /// The format of adapters beside weights of this format. Theirs are few bytes, and quantising them would cost what they
  /// were trained for.
  public var ofAdapters: WeightFormat { elementType == nil ? .bf16 : self }
}
