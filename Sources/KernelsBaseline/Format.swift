import CIntrinsics

/// How an element lies in memory. Every value of the three formats is a value of f32, so loading is exact.
protocol Format {
  static var byteCount: Int { get }
  /// As the table's functions take it.
  static var code: UInt8 { get }

  /// Elements 0..<16 at `pointer`.
  static func load(_ pointer: UnsafeRawPointer) -> bsk_f32x16

  /// Elements 0..<count at `pointer`, count ≤ 16, the other lanes 0.
  static func load(_ pointer: UnsafeRawPointer, _ count: Int) -> bsk_f32x16
}

enum F32: Format {
  static var byteCount: Int { @inline(__always) get { 4 } }
  static var code: UInt8 { @inline(__always) get { FormatCode.f32 } }

  @inline(__always) static func load(_ pointer: UnsafeRawPointer) -> bsk_f32x16 { bsk_load_f32(pointer) }

  @inline(__always) static func load(_ pointer: UnsafeRawPointer, _ count: Int) -> bsk_f32x16 {
    bsk_load_f32_partial(pointer, count)
  }
}

enum F16: Format {
  static var byteCount: Int { @inline(__always) get { 2 } }
  static var code: UInt8 { @inline(__always) get { FormatCode.f16 } }

  @inline(__always) static func load(_ pointer: UnsafeRawPointer) -> bsk_f32x16 { bsk_from_f16(bsk_load_u16(pointer)) }

  @inline(__always) static func load(_ pointer: UnsafeRawPointer, _ count: Int) -> bsk_f32x16 {
    bsk_from_f16(bsk_load_u16_partial(pointer, count))
  }
}

enum BF16: Format {
  static var byteCount: Int { @inline(__always) get { 2 } }
  static var code: UInt8 { @inline(__always) get { FormatCode.bf16 } }

  @inline(__always) static func load(_ pointer: UnsafeRawPointer) -> bsk_f32x16 { bsk_from_bf16(bsk_load_u16(pointer)) }

  @inline(__always) static func load(_ pointer: UnsafeRawPointer, _ count: Int) -> bsk_f32x16 {
    bsk_from_bf16(bsk_load_u16_partial(pointer, count))
  }
}

/// The raw values of `ElementType` and `WeightFormat`, as the table's functions take them.
enum FormatCode {
  static var f32: UInt8 { @inline(__always) get { 0 } }
  static var f16: UInt8 { @inline(__always) get { 1 } }
  static var bf16: UInt8 { @inline(__always) get { 2 } }
  static var q8_0: UInt8 { @inline(__always) get { 3 } }
  static var q4_0: UInt8 { @inline(__always) get { 4 } }
  static var q8_128: UInt8 { @inline(__always) get { 5 } }
}
