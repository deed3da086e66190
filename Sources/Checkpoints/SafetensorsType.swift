import Kernels

/// The element types of the format, by the names that headers use.
enum SafetensorsType {
  /// Bits of one element; nil for a name that the format's documentation does not list.
  static func bits(_ name: String) -> Int? {
    switch name {
    case "F4": 4
    case "F6_E2M3", "F6_E3M2": 6
    case "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ": 8
    case "U16", "I16", "F16", "BF16": 16
    case "U32", "I32", "F32": 32
    case "U64", "I64", "F64", "C64": 64
    default: nil
    }
  }

  /// As headers write it.
  static func name(_ type: ElementType) -> String {
    switch type {
    case .f32: "F32"
    case .f16: "F16"
    case .bf16: "BF16"
    }
  }

  /// Those that can be read.
  static func elementType(_ name: String) -> ElementType? {
    switch name {
    case "F32": .f32
    case "F16": .f16
    case "BF16": .bf16
    default: nil
    }
  }
}
