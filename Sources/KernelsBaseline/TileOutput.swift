import CIntrinsics

/// Where a tile's sums begin and end.
struct TileOutput {
  /// The output of the tile's first token and first row; `stride` elements on is the next token's.
  let y: UnsafeMutablePointer<Float>
  let stride: Int
  /// What the sums start from, with a stride of its own (0 for a bias); nil is zero.
  let start: UnsafePointer<Float>?
  let startStride: Int
  /// Tokens and rows of the matrix from the tile's first on; nothing past them is touched.
  let tokens: Int
  let rows: Int

  @inline(__always)
  func load(_ token: Int, _ row: Int) -> bsk_f32x16 {
    guard let start, token < tokens, row < rows else { return bsk_splat(0) }
    let source = start + token &* startStride + row
    return rows &- row >= 16 ? bsk_load_f32(source) : bsk_load_f32_partial(source, rows &- row)
  }

  /// Has the lines of the tokens' sums, of 16 rows or all, at hand by the time when they are stored, which would wait for
  /// them otherwise.
  @inline(__always)
  func prefetch(tokens count: Int, isPair: Bool = false) {
    var token = 0
    while token < min(count, tokens) {
      bsk_prefetch_write(y + token &* stride)
      if isPair, rows > 16 { bsk_prefetch_write(y + token &* stride + 16) }
      token &+= 1
    }
  }

  @inline(__always)
  func store(_ sums: bsk_f32x16, _ token: Int, _ row: Int) {
    guard token < tokens, row < rows else { return }
    let target = y + token &* stride + row
    if rows &- row >= 16 { bsk_store_f32(target, sums) } else { bsk_store_f32_partial(target, sums, rows &- row) }
  }

  @inline(__always)
  func moved(tokens count: Int) -> TileOutput {
    TileOutput(
      y: y + count &* stride, stride: stride, start: start.map { $0 + count &* startStride },
      startStride: startStride, tokens: tokens &- count, rows: rows)
  }

  @inline(__always)
  func moved(rows count: Int) -> TileOutput {
    TileOutput(
      y: y + count, stride: stride, start: start.map { $0 + count }, startStride: startStride, tokens: tokens,
      rows: rows &- count)
  }
}
