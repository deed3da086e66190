import CIntrinsics

/// What a panel of keys or values consists of: words, one a lane, that hold one, two or four elements along the axis
/// that is summed over, and what multiplies them.
protocol PanelWords {
  associatedtype Word
  associatedtype Sum

  /// Bytes of a lane's word.
  static var byteCount: Int { get }
  /// Bytes of the multipliers of one word.
  static var step: Int { get }
  /// Vectors of words beside each other in a tile.
  static var vectors: Int { get }
  static var zero: Sum { get }

  /// 16 lanes' words.
  static func load(_ words: UnsafeRawPointer) -> Word

  /// The first `lanes` words, the others 0.
  static func load(_ words: UnsafeRawPointer, _ lanes: Int) -> Word

  /// sum + word · its multipliers, lane by lane.
  static func add(_ sum: Sum, _ word: Word, _ multipliers: UnsafeRawPointer) -> Sum

  static func store(_ sum: Sum, _ target: UnsafeMutablePointer<Float>)
}

extension PanelWords where Sum == bsk_f32x16 {
  static var zero: bsk_f32x16 { @inline(__always) get { bsk_splat(0) } }
  static var vectors: Int { @inline(__always) get { Int(BSK_VECTORS) } }

  @inline(__always) static func store(_ sum: bsk_f32x16, _ target: UnsafeMutablePointer<Float>) {
    bsk_store_f32(target, sum)
  }
}

/// An f32 or f16 each; multiplied by f32.
enum SingleWords<Element: Format>: PanelWords {
  static var byteCount: Int { @inline(__always) get { Element.byteCount } }
  static var step: Int { @inline(__always) get { 4 } }

  @inline(__always) static func load(_ words: UnsafeRawPointer) -> bsk_f32x16 { Element.load(words) }

  @inline(__always) static func load(_ words: UnsafeRawPointer, _ lanes: Int) -> bsk_f32x16 {
    Element.load(words, lanes)
  }

  @inline(__always)
  static func add(_ sum: bsk_f32x16, _ word: bsk_f32x16, _ multipliers: UnsafeRawPointer) -> bsk_f32x16 {
    bsk_fma(word, bsk_splat(multipliers.loadUnaligned(as: Float.self)), sum)
  }
}

/// Two bf16 each; multiplied by bf16.
enum PairWords: PanelWords {
  static var byteCount: Int { @inline(__always) get { 4 } }
  static var step: Int { @inline(__always) get { 4 } }

  @inline(__always) static func load(_ words: UnsafeRawPointer) -> bsk_u32x16 { bsk_load_u32(words) }

  @inline(__always) static func load(_ words: UnsafeRawPointer, _ lanes: Int) -> bsk_u32x16 {
    bsk_load_u32_partial(words, lanes)
  }

  @inline(__always)
  static func add(_ sum: bsk_f32x16, _ word: bsk_u32x16, _ multipliers: UnsafeRawPointer) -> bsk_f32x16 {
    bsk_dot_bf16(sum, word, bsk_load_u32_scalar(multipliers))
  }
}

/// Four bytes each; the sums are exact integers, stored as such.
protocol ByteWords: PanelWords where Word == bsk_u32x16, Sum == bsk_i32x16 {}

extension ByteWords {
  static var byteCount: Int { @inline(__always) get { 4 } }
  static var step: Int { @inline(__always) get { 4 } }
  static var zero: bsk_i32x16 { @inline(__always) get { bsk_zero_i32() } }

  @inline(__always) static func load(_ words: UnsafeRawPointer) -> bsk_u32x16 { bsk_load_u32(words) }

  @inline(__always) static func load(_ words: UnsafeRawPointer, _ lanes: Int) -> bsk_u32x16 {
    bsk_load_u32_partial(words, lanes)
  }

  @inline(__always) static func store(_ sum: bsk_i32x16, _ target: UnsafeMutablePointer<Float>) {
    bsk_store_i32(target, sum)
  }
}

/// Bytes of keys as they are stored; multiplied by signed bytes.
enum KeyBytes: ByteWords {
  static var vectors: Int { @inline(__always) get { Int(BSK_VECTORS) } }

  @inline(__always)
  static func add(_ sum: bsk_i32x16, _ word: bsk_u32x16, _ multipliers: UnsafeRawPointer) -> bsk_i32x16 {
    bsk_dot_bytes(sum, word, bsk_load_u32_scalar(multipliers))
  }
}

/// Signed bytes of values; multiplied by unsigned bytes. 32 columns have one scale: two vectors.
enum ValueBytes: ByteWords {
  static var vectors: Int { @inline(__always) get { BSK_VECTORS > 1 ? 2 : 1 } }

  @inline(__always)
  static func add(_ sum: bsk_i32x16, _ word: bsk_u32x16, _ multipliers: UnsafeRawPointer) -> bsk_i32x16 {
    bsk_dot_i8u8(sum, word, bsk_load_u32_scalar(multipliers))
  }
}
