import CIntrinsics

/// A panel of floating-point weights: 32 rows of the matrix interleaved, so that a vector holds one column (or two) of 16
/// rows, the next vector of the other 16, and a lane sums one row, k ascending. Where the matrix ends with 16 rows or
/// fewer these are interleaved by themselves. Rows past the matrix's end and columns past its last are zero.
protocol FloatPanel {
  /// What is loaded at once.
  associatedtype Vector
  /// Columns of a step.
  static var columns: Int { get }
  /// Bytes of a step: of 16 rows, and of one token of the input.
  static var weightBytes: Int { get }
  static var inputBytes: Int { get }
  /// Whether a step's columns are multiplied one after the other, the input having each by itself.
  static var isSplit: Bool { get }
  static func load(_ weights: UnsafeRawPointer) -> Vector
  /// Where `isSplit`, the step's second column.
  static func loadSecond(_ weights: UnsafeRawPointer) -> Vector
  /// One step of 16 sums; `input` is the token's part.
  static func multiplyAdd(_ sum: bsk_f32x16, _ weights: Vector, _ input: UnsafeRawPointer) -> bsk_f32x16
}

extension FloatPanel {
  static var isSplit: Bool { @inline(__always) get { false } }

  @inline(__always)
  static func loadSecond(_ weights: UnsafeRawPointer) -> Vector { load(weights) }
}

/// [k][32] in any of the element formats; the input in f32.
enum ColumnPanel<Element: Format>: FloatPanel {
  static var columns: Int { @inline(__always) get { 1 } }
  static var weightBytes: Int { @inline(__always) get { 16 &* Element.byteCount } }
  static var inputBytes: Int { @inline(__always) get { 4 } }

  @inline(__always)
  static func load(_ weights: UnsafeRawPointer) -> bsk_f32x16 { Element.load(weights) }

  @inline(__always)
  static func multiplyAdd(_ sum: bsk_f32x16, _ weights: bsk_f32x16, _ input: UnsafeRawPointer) -> bsk_f32x16 {
    bsk_fma(weights, bsk_splat(input.loadUnaligned(as: Float.self)), sum)
  }
}

/// [k/2][32][2] of bf16, where pairs are multiplied at once; the input rounded to bf16, in pairs.
enum PairPanel: FloatPanel {
  static var columns: Int { @inline(__always) get { 2 } }
  static var weightBytes: Int { @inline(__always) get { 64 } }
  static var inputBytes: Int { @inline(__always) get { 4 } }

  @inline(__always)
  static func load(_ weights: UnsafeRawPointer) -> bsk_u32x16 { bsk_load_u32(weights) }

  @inline(__always)
  static func multiplyAdd(_ sum: bsk_f32x16, _ weights: bsk_u32x16, _ input: UnsafeRawPointer) -> bsk_f32x16 {
    bsk_dot_bf16(sum, weights, input.loadUnaligned(as: UInt32.self))
  }
}

/// The same weights, multiplied by an input in f32.
enum SplitPairPanel: FloatPanel {
  static var columns: Int { @inline(__always) get { 2 } }
  static var weightBytes: Int { @inline(__always) get { 64 } }
  static var inputBytes: Int { @inline(__always) get { 8 } }
  static var isSplit: Bool { @inline(__always) get { true } }

  @inline(__always)
  static func load(_ weights: UnsafeRawPointer) -> bsk_f32x16 { bsk_first_bf16(bsk_load_u32(weights)) }

  @inline(__always)
  static func loadSecond(_ weights: UnsafeRawPointer) -> bsk_f32x16 { bsk_second_bf16(bsk_load_u32(weights)) }

  @inline(__always)
  static func multiplyAdd(_ sum: bsk_f32x16, _ weights: bsk_f32x16, _ input: UnsafeRawPointer) -> bsk_f32x16 {
    ColumnPanel<F32>.multiplyAdd(sum, weights, input)
  }
}

extension FloatPanel {
  /// Steps of k columns.
  @inline(__always)
  static func steps(_ k: Int) -> Int { (k &+ columns &- 1) / columns }

  /// Of 32 rows.
  static func panelBytes(_ k: Int) -> Int { 2 &* steps(k) &* weightBytes }

  static func tokenBytes(_ k: Int) -> Int { steps(k) &* inputBytes }
}
