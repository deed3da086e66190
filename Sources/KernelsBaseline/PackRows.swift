import CIntrinsics

/// Makes columns `first` ..< `first` + `columns` of a panel of the format, of k columns in all, of up to 32 rows of `type`,
/// `ld` elements apart, that start at column `first`; the panel's other rows are zero. `first` is a multiple of 128, and so
/// is `columns` but at the end. `streams`: `out`, aligned to 64 bytes, will not be read soon.
///
/// q8_0 and q4_0 have the values of ggml's reference quantisers; numbers of a block that has an infinity or NaN in it
/// become NaN.
func packRows(
  _ format: UInt8, _ type: UInt8, _ rows: UnsafeRawPointer, _ ld: Int, _ count: Int, _ k: Int, _ first: Int,
  _ columns: Int, _ streams: Bool, _ out: UnsafeMutableRawPointer
) {
  let source = PackedRows(rows: rows, stride: ld &* elementBytes(type), type: type, columns: columns)
  let lanes = count > 16 ? 32 : 16
  var row = 0
  while row < lanes {
    let half = source.moved(rows: row)
    let taken = min(count &- row, 16)
    switch format {
    case FormatCode.f32: packColumns(F32.self, half, taken, lanes, out + 4 &* (lanes &* first &+ row))
    case FormatCode.f16: packColumns(F16.self, half, taken, lanes, out + 2 &* (lanes &* first &+ row))
    case FormatCode.bf16:
      if bsk_has_bf16_dot() {
        packPairs(half, taken, lanes, streams, out + 2 &* (lanes &* first &+ 2 &* row))
      } else {
        packColumns(BF16.self, half, taken, lanes, out + 2 &* (lanes &* first &+ row))
      }
    case FormatCode.q8_0: packBlocks(Q8x32Panel.self, half, taken, first, out + (row >> 4) &* Q8x32Panel.halfBytes(k))
    case FormatCode.q4_0: packBlocks(Q4x32Panel.self, half, taken, first, out + (row >> 4) &* Q4x32Panel.halfBytes(k))
    case FormatCode.q8_128:
      packBlocks(Q8x128Panel.self, half, taken, first, out + (row >> 4) &* Q8x128Panel.halfBytes(k))
    default: return
    }
    row &+= 16
  }
  if streams { bsk_fence() }
}

private func elementBytes(_ type: UInt8) -> Int { type == FormatCode.f32 ? 4 : 2 }

/// Rows of a matrix of any element format, `stride` bytes apart.
private struct PackedRows {
  let rows: UnsafeRawPointer
  let stride: Int
  let type: UInt8
  let columns: Int

  @inline(__always)
  func moved(rows count: Int) -> PackedRows {
    PackedRows(rows: rows + count &* stride, stride: stride, type: type, columns: columns)
  }

  @inline(__always)
  func start(_ column: Int) -> UnsafeRawPointer { rows + column &* elementBytes(type) }

  /// `count` numbers of a row, up to 16, the other lanes zero.
  @inline(__always)
  func load(_ row: Int, _ column: Int, _ count: Int) -> bsk_f32x16 {
    let source = start(column) + row &* stride
    return switch type {
    case FormatCode.f32: count == 16 ? F32.load(source) : F32.load(source, count)
    case FormatCode.f16: count == 16 ? F16.load(source) : F16.load(source, count)
    default: count == 16 ? BF16.load(source) : BF16.load(source, count)
    }
  }

  /// 16 columns from `column` on as [16][16] of f32, zero past the last; `scratch` has 1024 bytes.
  @inline(__always)
  func turn(_ column: Int, _ count: Int, _ scratch: UnsafeMutableRawPointer, _ out: UnsafeMutableRawPointer) {
    let taken = max(0, min(columns &- column, 16))
    if type == FormatCode.f32, taken == 16 { return bsk_transpose_u32(start(column), stride, count, out, 64, false) }
    var row = 0
    while row < count, taken > 0 {
      bsk_store_f32(scratch + 64 &* row, load(row, column, taken))
      row &+= 1
    }
    bsk_transpose_u32(scratch, 64, taken > 0 ? count : 0, out, 64, false)
  }
}

/// 16 of the lanes of [k][lanes] of an element format.
@inline(__always)
private func packColumns<Element: Format>(
  _: Element.Type, _ source: PackedRows, _ count: Int, _ lanes: Int, _ out: UnsafeMutableRawPointer
) {
  withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 64) { scratch in
    guard let wide = scratch.baseAddress else { return }
    let turned = wide + 1024
    var column = 0
    while column < source.columns {
      source.turn(column, count, wide, turned)
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
}

/// 16 of the lanes of [k/2][lanes][2] of bf16.
private func packPairs(
  _ source: PackedRows, _ count: Int, _ lanes: Int, _ streams: Bool, _ out: UnsafeMutableRawPointer
) {
  withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 64) { scratch in
    guard let narrowed = scratch.baseAddress else { return }
    let turned = narrowed + 1024
    var column = 0
    while column < source.columns {
      let columns = min(source.columns &- column, 32)
      let target = out + 2 &* lanes &* column
      var (rows, stride) = (source.start(column), source.stride)
      if columns < 32 || source.type != FormatCode.bf16 {
        var row = 0
        while row < count {
          let low = source.load(row, column, min(columns, 16))
          let high = columns > 16 ? source.load(row, column &+ 16, columns &- 16) : bsk_splat(0)
          bsk_store_u16(narrowed + 64 &* row, bsk_to_bf16(low))
          bsk_store_u16(narrowed + 64 &* row + 32, bsk_to_bf16(high))
          row &+= 1
        }
        (rows, stride) = (UnsafeRawPointer(narrowed), 64)
      }
      if columns < 32 {
        bsk_transpose_u32(rows, stride, count, turned, 64, false)
        var pair = 0
        while 2 &* pair < columns {
          bsk_store_u32(target + 4 &* lanes &* pair, bsk_load_u32(turned + 64 &* pair))
          pair &+= 1
        }
      } else if streams {
        bsk_transpose_u32(rows, stride, count, target, 4 &* lanes, true)
      } else {
        bsk_transpose_u32(rows, stride, count, target, 4 &* lanes, false)
      }
      column &+= 32
    }
  }
}

/// 16 rows in blocks, from column `first` of the matrix on.
@inline(__always)
private func packBlocks<Panel: BlockPanel>(
  _: Panel.Type, _ source: PackedRows, _ count: Int, _ first: Int, _ out: UnsafeMutableRawPointer
) {
  withUnsafeTemporaryAllocation(byteCount: 1024 &+ 64 &* Panel.length, alignment: 64) { scratch in
    guard let wide = scratch.baseAddress else { return }
    let turned = wide + 1024
    var block = first / Panel.length
    var column = 0
    while column < source.columns {
      var i = 0
      while i < Panel.length {
        source.turn(column &+ i, count, wide, turned + 64 &* i)
        i &+= 16
      }
      let scale = Panel.quantise(turned.assumingMemoryBound(to: Float.self), out + Panel.blockOffset(block))
      bsk_store_u16(out + Panel.scaleOffset(block), bsk_to_f16(scale))
      block &+= 1
      column &+= Panel.length
    }
  }
}
