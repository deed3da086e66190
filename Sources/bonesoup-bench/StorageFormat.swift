import Kernels

/// The formats that weights and KV caches may have at run time, by the names that users write.
struct StorageFormat: Equatable {
  let name: String
  /// BSOUP_FORMAT_*
  let code: UInt32
  /// What a product of many rows is computed in, which sets its limit.
  let arithmetic: Kernels.Arithmetic
  /// Of a matrix or a cache, scales included.
  let bytesPerElement: Double

  static let all = [
    StorageFormat(name: "f32", code: 1, arithmetic: .f32, bytesPerElement: 4),
    StorageFormat(name: "f16", code: 2, arithmetic: .f32, bytesPerElement: 2),
    StorageFormat(name: "bf16", code: 3, arithmetic: .bf16, bytesPerElement: 2),
    StorageFormat(name: "q8_0", code: 4, arithmetic: .int8, bytesPerElement: 34.0 / 32),
    StorageFormat(name: "q4_0", code: 5, arithmetic: .int4, bytesPerElement: 18.0 / 32),
    StorageFormat(name: "q8_128", code: 6, arithmetic: .int8, bytesPerElement: 130.0 / 128),
  ]

  /// The same for adapters, which beside quantised weights are bf16.
  var adapterArithmetic: Kernels.Arithmetic {
    switch arithmetic {
    case .int8, .int4: .bf16
    default: arithmetic
    }
  }

  static var names: String { all.map(\.name).joined(separator: ", ") }

  static func named(_ name: String) -> StorageFormat? { all.first { $0.name == name } }

  static func coded(_ code: UInt32) -> StorageFormat? { all.first { $0.code == code } }
}
