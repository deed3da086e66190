import CIntrinsics

/// Makes columns `first` ..< `first` + `columns` of a panel of the format, of k columns in all, of up to 32 rows that start
/// at column `first`; the panel's other rows are zero. `first` is a multiple of 128, and so is `columns` but at the end.
/// `streams`: `out`, aligned to 64 bytes, will not be read soon. `source` has rows of `type`, `ld` elements apart.
///
/// q8_0 and q4_0 have the values of ggml's reference quantisers; numbers of a block that has an infinity or NaN in it
/// become NaN.
func packRows(
  _ format: UInt8, _ type: UInt8, _ source: UnsafeRawPointer, _ ld: Int, _ count: Int, _ k: Int, _ first: Int,
  _ columns: Int, _ streams: Bool, _ out: UnsafeMutableRawPointer
) {
  var term = bsk_term(source: source, coefficient: 1)
  withUnsafeTemporaryAllocation(byteCount: panelScratchBytes, alignment: 64) { buffer in
    guard let scratch = buffer.baseAddress else { return }
    switch type {
    case FormatCode.f32: packPanel(RowSums<F32>(&term, 1, ld, columns), format, count, k, first, streams, scratch, out)
    case FormatCode.f16: packPanel(RowSums<F16>(&term, 1, ld, columns), format, count, k, first, streams, scratch, out)
    case FormatCode.bf16:
      packPanel(RowSums<BF16>(&term, 1, ld, columns), format, count, k, first, streams, scratch, out)
    default: return
    }
  }
  if streams { bsk_fence() }
}

/// Bytes of the scratch of `packPanel`.
let panelScratchBytes = 16384

/// As above, of rows that are sums.
@inline(__always)
func packPanel<Source: Format>(
  _ source: RowSums<Source>, _ format: UInt8, _ count: Int, _ k: Int, _ first: Int, _ streams: Bool,
  _ scratch: UnsafeMutableRawPointer, _ out: UnsafeMutableRawPointer
) {
  let lanes = count > 16 ? 32 : 16
  var row = 0
  while row < lanes {
    let half = source.moved(rows: row)
    let taken = min(count &- row, 16)
    switch format {
    case FormatCode.f32: packColumns(F32.self, half, taken, lanes, scratch, out + 4 &* (lanes &* first &+ row))
    case FormatCode.f16: packColumns(F16.self, half, taken, lanes, scratch, out + 2 &* (lanes &* first &+ row))
    case FormatCode.bf16:
      packPairs(half, taken, lanes, streams, scratch, out + 2 &* (lanes &* first &+ 2 &* row))
    case FormatCode.q8_0:
      packBytes(Q8x32Panel.self, half, taken, first, streams, scratch, out + (row >> 4) &* Q8x32Panel.halfBytes(k))
    case FormatCode.q4_0:
      packBlocks(Q4x32Panel.self, half, taken, first, from: 0, scratch, out + (row >> 4) &* Q4x32Panel.halfBytes(k))
    case FormatCode.q8_128:
      packBytes(Q8x128Panel.self, half, taken, first, streams, scratch, out + (row >> 4) &* Q8x128Panel.halfBytes(k))
    default: return
    }
    row &+= 16
  }
}

/// 16 of the lanes of [k][lanes] of an element format.
@inline(__always)
private func packColumns<Element: Format, Source: Format>(
  _: Element.Type, _ source: RowSums<Source>, _ count: Int, _ lanes: Int, _ scratch: UnsafeMutableRawPointer,
  _ out: UnsafeMutableRawPointer
) {
  let turned = scratch + 1024
  var column = 0
  while column < source.columns {
    source.prefetch(column, bytes: 64)
    source.turn(column, count, scratch, turned)
    let columns = min(source.columns &- column, 16)
    var i = 0
    while i < columns {
      narrow(
        (turned + 64 &* i).assumingMemoryBound(to: Float.self), Element.code, 16,
        out + (column &+ i) &* lanes &* Element.byteCount)
      i &+= 1
    }
    column &+= 16
  }
}

/// 16 rows in blocks, `source` beginning at column `first` of the matrix; from its column `begin` on.
@inline(__always)
func packBlocks<Panel: BlockPanel, Source: Format>(
  _: Panel.Type, _ source: RowSums<Source>, _ count: Int, _ first: Int, from begin: Int,
  _ scratch: UnsafeMutableRawPointer, _ out: UnsafeMutableRawPointer
) {
  let turned = scratch + 2048
  var column = begin
  while column < source.columns {
    let block = (first &+ column) / Panel.length
    var i = 0
    while i < Panel.length {
      source.turnTwice(column &+ i, count, scratch, turned + 64 &* i)
      i &+= 32
    }
    let scale = Panel.quantise(turned.assumingMemoryBound(to: Float.self), out + Panel.blockOffset(block))
    bsk_store_u16(out + Panel.scaleOffset(block), bsk_to_f16(scale))
    column &+= Panel.length
  }
}
