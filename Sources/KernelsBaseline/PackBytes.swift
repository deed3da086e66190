import CIntrinsics

/// 16 rows in blocks of bytes, `source` beginning at column `first` of the matrix.
@inline(__always)
func packBytes<Panel: BytePanel, Source: Format>(
  _: Panel.Type, _ source: RowSums<Source>, _ count: Int, _ first: Int, _ streams: Bool,
  _ scratch: UnsafeMutableRawPointer,
  _ out: UnsafeMutableRawPointer
) {
  var done = 0
  if Source.code == FormatCode.bf16, count == 16, first % (2 &* Panel.length) == 0 {
    let target = out + Panel.scaleOffset(first / Panel.length)
    switch source.termCount {
    case 0: break
    case 1: done = sumBytes(Panel.self, OneTerm.self, source, streams, scratch, target)
    case 2: done = sumBytes(Panel.self, TwoTerms.self, source, streams, scratch, target)
    case 3: done = sumBytes(Panel.self, ThreeTerms.self, source, streams, scratch, target)
    case 4: done = sumBytes(Panel.self, FourTerms.self, source, streams, scratch, target)
    default: done = sumBytes(Panel.self, AnyTerms.self, source, streams, scratch, target)
    }
  }
  packBlocks(Panel.self, source, count, first, from: done, scratch, out)
}

/// Pairs of blocks of a sum of 16 rows of bf16, quantised before they are turned: a quarter as much is turned. Returns the
/// column that it came to; it stops before a pair that holds an infinity or a NaN. What comes next is asked for half of the
/// rows while they are summed, for the others while they are quantised, so that the memory is never idle.
@inline(__always)
private func sumBytes<Panel: BytePanel, Count: TermCount, Source: Format>(
  _: Panel.Type, _: Count.Type, _ source: RowSums<Source>, _ streams: Bool, _ scratch: UnsafeMutableRawPointer,
  _ out: UnsafeMutableRawPointer
) -> Int {
  let length = Panel.length
  let sums = PairSums<Count>(source.terms, source.termCount)
  // f32 of a block's rows, their bytes of both blocks, the greatest of each, and one number of each.
  let bytes = scratch + 64 &* length
  let greatest = bytes + 32 &* length
  let inverses = (greatest + 1024).assumingMemoryBound(to: Float.self)
  let scales = greatest + 1024 + 64
  var target = out
  var column = 0
  while column &+ 2 &* length <= source.columns {
    var half = 0
    while half < 2 {
      sumBlock(sums, source, column &+ half &* length, length, scratch, greatest)
      let scale = bsk_divide(bsk_greatest_of_rows(greatest), bsk_splat(127))
      if bsk_any_non_finite_f32(scale) { return column }
      bsk_store_f32(inverses, bsk_inverse(scale))
      bsk_store_u16(scales + 32 &* half, bsk_to_f16(scale))
      var row = 0
      while row < 16 {
        let inverse = bsk_splat(inverses[row])
        var i = 0
        while i < length {
          if row & 1 == 1 {
            let place = column &+ half &* length &+ i
            sums.prefetch(source.start &+ 2 &* place &+ source.ahead(place) &+ row &* source.stride)
          }
          let numbers = scratch + 4 &* (row &* length &+ i)
          bsk_store_byte_pairs(
            bytes + (2 &* row &+ half) &* length + i,
            bsk_nearest_away_i32(bsk_multiply(bsk_load_f32(numbers), inverse)),
            bsk_nearest_away_i32(bsk_multiply(bsk_load_f32(numbers + 64), inverse)))
          i &+= 32
        }
        row &+= 1
      }
      half &+= 1
    }
    var i = 0
    if streams {
      bsk_stream_u32(target, bsk_load_u32(scales))
      while i < 2 &* length {
        bsk_transpose_u32(bytes + i, 2 &* length, 16, target + 64 + 16 &* i, 64, true)
        i &+= 64
      }
    } else {
      bsk_store_u32(target, bsk_load_u32(scales))
      while i < 2 &* length {
        bsk_transpose_u32(bytes + i, 2 &* length, 16, target + 64 + 16 &* i, 64, false)
        i &+= 64
      }
    }
    target += 64 &+ 2 &* Panel.blockBytes
    column &+= 2 &* length
  }
  return column
}

/// A block's sums as [16][length] of f32, of each 32 first those of even columns, and the greatest magnitudes as [16][16].
@inline(__always)
private func sumBlock<Count: TermCount, Source: Format>(
  _ sums: PairSums<Count>, _ source: RowSums<Source>, _ column: Int, _ length: Int, _ wide: UnsafeMutableRawPointer,
  _ greatest: UnsafeMutableRawPointer
) {
  var i = 0
  while i < length {
    let ahead = source.ahead(column &+ i)
    let place = source.start &+ 2 &* (column &+ i)
    var row = 0
    while row < 16 {
      let pairs = sums.load(place &+ row &* source.stride, ahead: row & 1 == 0 ? ahead : 0)
      let numbers = wide + 4 &* (row &* length &+ i)
      bsk_store_f32(numbers, pairs.first)
      bsk_store_f32(numbers + 64, pairs.second)
      var most = bsk_greater_bits(pairs.first, pairs.second)
      if i > 0 { most = bsk_greater_bits(most, bsk_load_f32(greatest + 64 &* row)) }
      bsk_store_f32(greatest + 64 &* row, most)
      row &+= 1
    }
    i &+= 32
  }
}
