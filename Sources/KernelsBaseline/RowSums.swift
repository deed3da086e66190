import CIntrinsics

/// Rows of a sum of matrices, `stride` bytes apart in each.
struct RowSums<Source: Format> {
  let terms: UnsafePointer<bsk_term>
  let termCount: Int
  /// Where the rows begin in each source.
  let start: Int
  let stride: Int
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
  var isPlain: Bool { @inline(__always) get { termCount == 1 && terms[0].coefficient == 1 } }

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
    let sums = PairSums<AnyTerms>(terms, termCount)
    let ahead = ahead(column)
    var row = 0
    while row < count {
      let pairs = sums.load(start &+ 2 &* column &+ row &* stride, ahead: ahead)
      bsk_store_f32(scratch + 64 &* row, pairs.first)
      bsk_store_f32(scratch + 1024 + 64 &* row, pairs.second)
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
