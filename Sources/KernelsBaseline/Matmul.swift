import CIntrinsics

/// y[i·ldy + j] = Σ_k x[i·ldx + k] · w[j·ldw + k], added to what y holds where `accumulate`.
/// x is [m, k] in f32, w [n, k] in the format, y [m, n] in f32; strides count elements.
///
/// One order for every element: lane l of one accumulator sums k = l, l + 16, l + 32, … (beyond the end zeros), then
/// the lanes are summed as a tree. Nothing of it depends on m, n, or where in a tile the element stands.
///
/// Four rows make a group. For few tokens, where memory sets the pace, these are a quarter of the matrix apart: four
/// streams, each front to back, are what the processor's prefetchers follow (neighbouring rows, often in one page, run at
/// half the speed). Else they are neighbours, and blocks of 192 tokens keep x in the cache.
func matmul(
  _ x: UnsafePointer<Float>, _ ldx: Int, _ m: Int, _ w: UnsafeRawPointer, _ type: UInt8, _ ldw: Int, _ n: Int,
  _ k: Int, _ y: UnsafeMutablePointer<Float>, _ ldy: Int, _ accumulate: Bool
) {
  switch type {
  case FormatCode.f32: matmul(F32.self, x, ldx, m, w, ldw, n, k, y, ldy, accumulate)
  case FormatCode.f16: matmul(F16.self, x, ldx, m, w, ldw, n, k, y, ldy, accumulate)
  case FormatCode.bf16: matmul(BF16.self, x, ldx, m, w, ldw, n, k, y, ldy, accumulate)
  default: return
  }
}

@inline(__always)
private func matmul<W: Format>(
  _: W.Type, _ x: UnsafePointer<Float>, _ ldx: Int, _ m: Int, _ w: UnsafeRawPointer, _ ldw: Int, _ n: Int, _ k: Int,
  _ y: UnsafeMutablePointer<Float>, _ ldy: Int, _ accumulate: Bool
) {
  let width = Int(BSK_TILE_WIDTH)
  let rowBytes = ldw &* W.byteCount
  let groups = (n &+ 3) >> 2
  let step = m <= 4 ? groups : 1
  var i = 0
  while i < m {
    let block = min(m &- i, 192)
    var group = 0
    while group < groups {
      let j = step == 1 ? group &* 4 : group
      let rows = Rows<W>(w + j &* rowBytes, rowBytes, j, step, n)
      var t = 0
      while t < block {
        let (xt, yt) = (x + (i &+ t) &* ldx, y + (i &+ t) &* ldy + j)
        switch min(block &- t, width) {
        case 1: rows.multiply(1, xt, ldx, k, yt, ldy, accumulate)
        case 2: rows.multiply(2, xt, ldx, k, yt, ldy, accumulate)
        case 3: rows.multiply(3, xt, ldx, k, yt, ldy, accumulate)
        case 4: rows.multiply(4, xt, ldx, k, yt, ldy, accumulate)
        case 5: rows.multiply(5, xt, ldx, k, yt, ldy, accumulate)
        default: rows.multiply(6, xt, ldx, k, yt, ldy, accumulate)
        }
        t &+= width
      }
      group &+= 1
    }
    i &+= block
  }
}
