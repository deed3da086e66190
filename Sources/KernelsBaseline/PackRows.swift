import CIntrinsics

/// Makes columns `first` ..< `first` + `columns` of a panel of the format, of k columns in all, of up to 32 rows that start
/// at column `first`; the panel's other rows are zero. `first` is a multiple of 128, and so is `columns` but at the end.
/// `streams`: `out`, aligned to 64 bytes, will not be read soon.
///
/// The rows are Σ_t coefficient_t · source_t, summed in order as by `merge`; each source has rows of `type`, `ld` elements
/// apart. One source with coefficient 1 is taken as it is.
///
/// q8_0 and q4_0 have the values of ggml's reference quantisers; numbers of a block that has an infinity or NaN in it
/// become NaN.
func packRows(
  _ format: UInt8, _ type: UInt8, _ terms: UnsafePointer<bsk_term>, _ termCount: Int, _ ld: Int, _ count: Int, _ k: Int,
  _ first: Int, _ columns: Int, _ streams: Bool, _ out: UnsafeMutableRawPointer
) {
  switch type {
  case FormatCode.f32: pack(RowSums<F32>(terms, termCount, ld, columns), format, count, k, first, streams, out)
  case FormatCode.f16: pack(RowSums<F16>(terms, termCount, ld, columns), format, count, k, first, streams, out)
  case FormatCode.bf16: pack(RowSums<BF16>(terms, termCount, ld, columns), format, count, k, first, streams, out)
  default: return
  }
}

@inline(__always)
private func pack<Source: Format>(
  _ source: RowSums<Source>, _ format: UInt8, _ count: Int, _ k: Int, _ first: Int, _ streams: Bool,
  _ out: UnsafeMutableRawPointer
) {
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

/// Rows of a sum of matrices, `stride` bytes apart in each.
private struct RowSums<Source: Format> {
  private let terms: UnsafePointer<bsk_term>
  private let termCount: Int
  /// Where the rows begin in each source.
  private let start: Int
  private let stride: Int
  let columns: Int

  @inline(__always)
  init(_ terms: UnsafePointer<bsk_term>, _ termCount: Int, _ ld: Int, _ columns: Int) {
    self.init(terms, termCount, start: 0, stride: ld &* Source.byteCount, columns)
  }

  @inline(__always)
  private init(_ terms: UnsafePointer<bsk_term>, _ termCount: Int, start: Int, stride: Int, _ columns: Int) {
    self.terms = terms
    self.termCount = termCount
    self.start = start
    self.stride = stride
    self.columns = columns
  }

  @inline(__always)
  func moved(rows count: Int) -> RowSums {
    RowSums(terms, termCount, start: start &+ count &* stride, stride: stride, columns)
  }

  /// Whether there is nothing to sum.
  private var isPlain: Bool { @inline(__always) get { termCount == 1 && terms[0].coefficient == 1 } }

  /// The rows as they lie, 16 or fewer, where there is nothing to sum.
  @inline(__always)
  func plain(_ column: Int) -> (rows: UnsafeRawPointer, stride: Int)? {
    guard isPlain else { return nil }
    return (terms[0].source + (start &+ column &* Source.byteCount), stride)
  }

  /// `count` numbers of a row, up to 16, the other lanes zero.
  @inline(__always)
  func load(_ row: Int, _ column: Int, _ count: Int) -> bsk_f32x16 {
    let place = start &+ column &* Source.byteCount &+ row &* stride
    guard termCount > 0 else { return bsk_splat(0) }
    let first = value(terms[0].source + place, count)
    if isPlain { return first }
    var sum = bsk_multiply(bsk_splat(terms[0].coefficient), first)
    var term = 1
    while term < termCount {
      sum = bsk_fma(value(terms[term].source + place, count), bsk_splat(terms[term].coefficient), sum)
      term &+= 1
    }
    return sum
  }

  @inline(__always)
  private func value(_ source: UnsafeRawPointer, _ count: Int) -> bsk_f32x16 {
    count == 16 ? Source.load(source) : Source.load(source, count)
  }

  /// 32 columns of a row of bf16 as 16 pairs: the sums of the first of each pair, and of the second.
  @inline(__always)
  func loadPairs(_ row: Int, _ column: Int, ahead: Int) -> (first: bsk_f32x16, second: bsk_f32x16) {
    let place = start &+ 2 &* column &+ row &* stride
    bsk_prefetch(terms[0].source + (place &+ ahead))
    var pairs = bsk_load_u32(terms[0].source + place)
    var sums = (first: bsk_first_bf16(pairs), second: bsk_second_bf16(pairs))
    if isPlain { return sums }
    var c = bsk_splat(terms[0].coefficient)
    sums = (bsk_multiply(c, sums.first), bsk_multiply(c, sums.second))
    var term = 1
    while term < termCount {
      bsk_prefetch(terms[term].source + (place &+ ahead))
      pairs = bsk_load_u32(terms[term].source + place)
      c = bsk_splat(terms[term].coefficient)
      sums.first = bsk_fma(c, bsk_first_bf16(pairs), sums.first)
      sums.second = bsk_fma(c, bsk_second_bf16(pairs), sums.second)
      term &+= 1
    }
    return sums
  }

  /// How far ahead, in bytes, the numbers lie that are to be asked for while a column is read: there are too many streams
  /// for the processor to foresee. Past the end of these rows the next 16 begin.
  @inline(__always)
  func ahead(_ column: Int) -> Int {
    let isPast = (column &* Source.byteCount &+ Self.distance) >= columns &* Source.byteCount
    return Self.distance &+ (isPast ? 16 &* stride &- columns &* Source.byteCount : 0)
  }

  /// Asks for `bytes` of each of the next 16 rows, in lines of 64.
  @inline(__always)
  func prefetch(_ column: Int, bytes: Int) {
    let place = start &+ column &* Source.byteCount &+ ahead(column)
    var term = 0
    while term < termCount {
      var next = terms[term].source + place
      var row = 0
      while row < 16 {
        var line = 0
        while line < bytes {
          bsk_prefetch(next + line)
          line &+= 64
        }
        next += stride
        row &+= 1
      }
      term &+= 1
    }
  }

  private static var distance: Int { @inline(__always) get { 512 } }

  /// 32 columns from `column` on as [32][16] of f32, zero past the last; `scratch` has 2048 bytes.
  @inline(__always)
  func turnTwice(_ column: Int, _ count: Int, _ scratch: UnsafeMutableRawPointer, _ out: UnsafeMutableRawPointer) {
    guard Source.code == FormatCode.bf16, column &+ 32 <= columns, termCount > 0 else {
      prefetch(column, bytes: 32 &* Source.byteCount)
      turn(column, count, scratch, out)
      return turn(column &+ 16, count, scratch, out + 1024)
    }
    let ahead = ahead(column)
    var row = 0
    while row < count {
      let sums = loadPairs(row, column, ahead: ahead)
      bsk_store_f32(scratch + 64 &* row, sums.first)
      bsk_store_f32(scratch + 1024 + 64 &* row, sums.second)
      row &+= 1
    }
    bsk_transpose_u32(scratch, 64, count, out, 128, false)
    bsk_transpose_u32(scratch + 1024, 64, count, out + 64, 128, false)
  }

  /// 16 columns from `column` on as [16][16] of f32, zero past the last; `scratch` has 1024 bytes.
  @inline(__always)
  func turn(_ column: Int, _ count: Int, _ scratch: UnsafeMutableRawPointer, _ out: UnsafeMutableRawPointer) {
    let taken = max(0, min(columns &- column, 16))
    if Source.code == FormatCode.f32, taken == 16, let plain = plain(column) {
      return bsk_transpose_u32(plain.rows, plain.stride, count, out, 64, false)
    }
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
private func packColumns<Element: Format, Source: Format>(
  _: Element.Type, _ source: RowSums<Source>, _ count: Int, _ lanes: Int, _ out: UnsafeMutableRawPointer
) {
  withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 64) { scratch in
    guard let wide = scratch.baseAddress else { return }
    let turned = wide + 1024
    var column = 0
    while column < source.columns {
      source.prefetch(column, bytes: 64)
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
@inline(__always)
private func packPairs<Source: Format>(
  _ source: RowSums<Source>, _ count: Int, _ lanes: Int, _ streams: Bool, _ out: UnsafeMutableRawPointer
) {
  withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 64) { scratch in
    guard let narrowed = scratch.baseAddress else { return }
    let turned = narrowed + 1024
    var column = 0
    while column < source.columns {
      let columns = min(source.columns &- column, 32)
      let target = out + 2 &* lanes &* column
      var rows = UnsafeRawPointer(narrowed)
      var stride = 64
      if columns == 32, Source.code == FormatCode.bf16, let plain = source.plain(column) {
        source.prefetch(column, bytes: 64)
        (rows, stride) = plain
      } else if columns == 32, Source.code == FormatCode.bf16 {
        let ahead = source.ahead(column)
        var row = 0
        while row < count {
          let sums = source.loadPairs(row, column, ahead: ahead)
          bsk_store_u32(narrowed + 64 &* row, bsk_to_bf16_pairs(sums.first, sums.second))
          row &+= 1
        }
      } else {
        var row = 0
        while row < count {
          let low = source.load(row, column, min(columns, 16))
          let high = columns > 16 ? source.load(row, column &+ 16, columns &- 16) : bsk_splat(0)
          bsk_store_u16(narrowed + 64 &* row, bsk_to_bf16(low))
          bsk_store_u16(narrowed + 64 &* row + 32, bsk_to_bf16(high))
          row &+= 1
        }
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
private func packBlocks<Panel: BlockPanel, Source: Format>(
  _: Panel.Type, _ source: RowSums<Source>, _ count: Int, _ first: Int, _ out: UnsafeMutableRawPointer
) {
  withUnsafeTemporaryAllocation(byteCount: 2048 &+ 64 &* Panel.length, alignment: 64) { scratch in
    guard let wide = scratch.baseAddress else { return }
    let turned = wide + 2048
    var block = first / Panel.length
    var column = 0
    while column < source.columns {
      var i = 0
      while i < Panel.length {
        source.turnTwice(column &+ i, count, wide, turned + 64 &* i)
        i &+= 32
      }
      let scale = Panel.quantise(turned.assumingMemoryBound(to: Float.self), out + Panel.blockOffset(block))
      bsk_store_u16(out + Panel.scaleOffset(block), bsk_to_f16(scale))
      block &+= 1
      column &+= Panel.length
    }
  }
}
