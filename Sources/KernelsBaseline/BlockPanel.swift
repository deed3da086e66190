import CIntrinsics

/// 16 rows of weights in blocks along k, each block with a scale and integers. A panel is two such halves, one after the
/// other; where the matrix ends with 16 rows or fewer the last panel is a single one.
///
/// Two blocks follow the scales of both, [2][16] of f16, so that all is read in one stream; the last pair may want its second
/// block. A block is words: lane l of a word holds four columns of row l. Columns past the last are zero.
///
/// The input is quantised in the same blocks. The integer sum of a block is exact; then
/// sum = Float(integers) · (weight scale · input scale) + sum, one block after another.
protocol BlockPanel {
  /// Columns of a block.
  static var length: Int { get }
  /// What is added to a weight's integer where it is stored.
  static var offset: Int32 { get }
  /// Bytes of the integers of a block, 16 rows.
  static var blockBytes: Int { get }
  /// How many tokens at least ask for what follows in the panel: where computing takes so long that the processor does not
  /// look far ahead by itself.
  static var leastAsking: Int { get }
  /// What the sum of a block starts with; `correction` is −offset · Σ of the input's integers.
  static func start(_ correction: Int32) -> bsk_i32x16
  /// Adds the products of a block to `sums`, for `count` tokens (known to the compiler); `inputStride` is the bytes from
  /// four columns of the input to the next four.
  static func accumulate(
    _ sums: inout Twelve<bsk_i32x16>, _ count: Int, _ block: UnsafeRawPointer, _ input: UnsafeRawPointer,
    _ inputStride: Int)
  /// The integer sum of a block.
  static func end(_ sum: bsk_i32x16, _ correction: Int32) -> bsk_i32x16
  /// Quantises a block of 16 rows, given as [length][16], to its integers in `out`, and returns the rows' scales before
  /// their rounding to f16; NaN for a block that holds an infinity or a NaN.
  static func quantise(_ columns: UnsafePointer<Float>, _ out: UnsafeMutableRawPointer) -> bsk_f32x16
}

/// Bytes −127 ... 127, more where the level multiplies unsigned ones.
protocol BytePanel: BlockPanel {}

extension BytePanel {
  static var offset: Int32 { @inline(__always) get { Int32(BSK_BYTE_OFFSET) } }
  static var blockBytes: Int { @inline(__always) get { 16 &* length } }
  static var leastAsking: Int { @inline(__always) get { bsk_bytes_ask() } }

  @inline(__always)
  static func start(_ correction: Int32) -> bsk_i32x16 { bsk_splat_i32(offset == 0 ? 0 : correction) }

  @inline(__always)
  static func end(_ sum: bsk_i32x16, _: Int32) -> bsk_i32x16 { sum }

  @inline(__always)
  static func accumulate(
    _ sums: inout Twelve<bsk_i32x16>, _ count: Int, _ block: UnsafeRawPointer, _ input: UnsafeRawPointer,
    _ inputStride: Int
  ) {
    var (w, x) = (block, input)
    let end = block + blockBytes
    while w < end {
      let word = bsk_load_u32(w)
      sums.update(count) { sum, token in
        sum = bsk_dot_bytes(sum, word, (x + 4 &* token).loadUnaligned(as: UInt32.self))
      }
      w += 64
      x += inputStride
    }
  }
}

/// q8_0 of ggml: blocks of 32.
enum Q8x32Panel: BytePanel {
  static var length: Int { @inline(__always) get { 32 } }
}

/// Blocks of 128: a quarter of the scales, and of the arithmetic that they cost.
enum Q8x128Panel: BytePanel {
  static var length: Int { @inline(__always) get { 128 } }
}

/// q4_0 of ggml: blocks of 32, numbers 0 ... 15 that are by 8 too great. Byte b of word i holds columns 4·i + b (low half)
/// and 16 + 4·i + b (high half).
enum Q4x32Panel: BlockPanel {
  static var length: Int { @inline(__always) get { 32 } }
  static var offset: Int32 { @inline(__always) get { 8 } }
  static var blockBytes: Int { @inline(__always) get { 256 } }
  static var leastAsking: Int { @inline(__always) get { 1 } }

  @inline(__always)
  static func start(_ correction: Int32) -> bsk_i32x16 { bsk_start_halves(correction) }

  @inline(__always)
  static func end(_ sum: bsk_i32x16, _ correction: Int32) -> bsk_i32x16 { bsk_end_halves(sum, correction) }

  @inline(__always)
  static func accumulate(
    _ sums: inout Twelve<bsk_i32x16>, _ count: Int, _ block: UnsafeRawPointer, _ input: UnsafeRawPointer,
    _ inputStride: Int
  ) {
    var (w, x) = (block, input)
    let end = block + blockBytes
    while w < end {
      let word = bsk_load_u32(w)
      let (low, high) = (bsk_low_halves(word), bsk_high_halves(word))
      sums.update(count) { sum, token in
        let value = x + 4 &* token
        sum = bsk_dot_halves(sum, low, value.loadUnaligned(as: UInt32.self))
        sum = bsk_dot_halves(sum, high, (value + 4 &* inputStride).loadUnaligned(as: UInt32.self))
      }
      w += 64
      x += inputStride
    }
  }
}

extension BlockPanel {
  @inline(__always)
  static func blocks(_ k: Int) -> Int { (k &+ length &- 1) / length }

  /// Of 32 rows.
  static func panelBytes(_ k: Int) -> Int { 2 &* halfBytes(k) }

  /// Of 16 rows.
  static func halfBytes(_ k: Int) -> Int { blockOffset(blocks(k) &- 1) &+ blockBytes }

  /// Where a block's words start.
  @inline(__always)
  static func blockOffset(_ block: Int) -> Int { (block >> 1 &+ 1) &* 64 &+ block &* blockBytes }

  /// Where a block's scales start.
  @inline(__always)
  static func scaleOffset(_ block: Int) -> Int { (block >> 1) &* (64 &+ 2 &* blockBytes) &+ (block & 1) &* 32 }

  /// A block of the input holds, for each token of a tile: [length/4] words of four numbers, a scale (f32), and the sum
  /// of the numbers times −offset; each with the tile's tokens side by side.
  @inline(__always)
  static var tokenBlockBytes: Int { length &+ 8 }

  static func tokenBytes(_ k: Int) -> Int { blocks(k) &* tokenBlockBytes }
}
