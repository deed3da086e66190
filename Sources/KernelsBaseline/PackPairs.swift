import CIntrinsics

/// 16 of the lanes of [k/2][lanes][2] of bf16.
@inline(__always)
func packPairs<Source: Format>(
  _ source: RowSums<Source>, _ count: Int, _ lanes: Int, _ streams: Bool, _ scratch: UnsafeMutableRawPointer,
  _ out: UnsafeMutableRawPointer
) {
  let turned = scratch + 1024
  var column = 0
  while column < source.columns {
    let columns = min(source.columns &- column, 32)
    let target = out + 2 &* lanes &* column
    if columns == 32, Source.code == FormatCode.bf16, let plain = source.plain(column) {
      source.prefetch(column, bytes: 64)
      turnPairs(plain.rows, plain.stride, count, lanes, streams, target)
      column &+= 32
      continue
    }
    var row = 0
    while row < count {
      let low = source.load(row, column, min(columns, 16))
      let high = columns > 16 ? source.load(row, column &+ 16, columns &- 16) : bsk_splat(0)
      bsk_store_bf16(scratch + 64 &* row, low, high)
      row &+= 1
    }
    if columns == 32 {
      turnPairs(scratch, 64, count, lanes, streams, target)
    } else {
      bsk_transpose_u32(scratch, 64, count, turned, 64, false)
      var pair = 0
      while 2 &* pair < columns {
        bsk_store_u32(target + 4 &* lanes &* pair, bsk_load_u32(turned + 64 &* pair))
        pair &+= 1
      }
    }
    column &+= 32
  }
}

/// 16 rows of 16 pairs, `stride` bytes apart, to their lanes.
@inline(__always)
private func turnPairs(
  _ rows: UnsafeRawPointer, _ stride: Int, _ count: Int, _ lanes: Int, _ streams: Bool, _ out: UnsafeMutableRawPointer
) {
  if streams {
    bsk_transpose_u32(rows, stride, count, out, 4 &* lanes, true)
  } else {
    bsk_transpose_u32(rows, stride, count, out, 4 &* lanes, false)
  }
}
