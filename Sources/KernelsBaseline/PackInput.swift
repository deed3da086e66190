import CIntrinsics

/// Makes a group of `count` tokens, rows of x, the input of a product with weights of the format: `width` tokens, those past
/// `count` zero; one tile's after the other's, a tile's side by side.
func packInput(
  _ format: UInt8, _ x: UnsafePointer<Float>, _ ldx: Int, _ count: Int, _ width: Int, _ k: Int,
  _ out: UnsafeMutableRawPointer
) {
  let isFloat = format == FormatCode.f32 || format == FormatCode.f16 || format == FormatCode.bf16
  let limit = isFloat ? bsk_float_tile() : bsk_block_tile()
  var token = 0
  while token < width {
    let taken = min(width &- token, limit)
    let present = max(0, min(count &- token, taken))
    packTile(format, x + token &* ldx, ldx, present, taken, k, out + token &* tokenBytes(format, k))
    token &+= taken
  }
}

@inline(__always)
private func packTile(
  _ format: UInt8, _ x: UnsafePointer<Float>, _ ldx: Int, _ count: Int, _ width: Int, _ k: Int,
  _ out: UnsafeMutableRawPointer
) {
  switch format {
  case FormatCode.f32, FormatCode.f16: packFloats(x, ldx, count, width, k, out)
  case FormatCode.bf16:
    if bsk_has_bf16_dot() {
      packPairs(x, ldx, count, width, k, out)
    } else {
      packFloats(x, ldx, count, width, k, out)
      // A pair's second column that is past the last.
      if k & 1 == 1 { bsk_store_f32_partial(out + 4 &* k &* width, bsk_splat(0), width) }
    }
  case FormatCode.q8_0: packBlocks(Q8x32Panel.self, x, ldx, count, width, k, out)
  case FormatCode.q4_0: packBlocks(Q4x32Panel.self, x, ldx, count, width, k, out)
  case FormatCode.q8_128: packBlocks(Q8x128Panel.self, x, ldx, count, width, k, out)
  default: return
  }
}

/// [k][width] of f32.
private func packFloats(
  _ x: UnsafePointer<Float>, _ ldx: Int, _ count: Int, _ width: Int, _ k: Int, _ out: UnsafeMutableRawPointer
) {
  if width == 1, count == 1 { return narrow(x, FormatCode.f32, k, out) }
  withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 64) { scratch in
    guard let rows = scratch.baseAddress else { return }
    let turned = rows + 1024
    var column = 0
    while column < k {
      let columns = min(k &- column, 16)
      if columns == 16 {
        bsk_transpose_u32(x + column, 4 &* ldx, count, turned, 64, false)
      } else {
        var token = 0
        while token < count {
          bsk_store_f32(rows + 64 &* token, bsk_load_f32_partial(x + token &* ldx + column, columns))
          token &+= 1
        }
        bsk_transpose_u32(rows, 64, count, turned, 64, false)
      }
      spread(turned, columns, width, out + 4 &* column &* width)
      column &+= 16
    }
  }
}

/// [k/2][width][2] of bf16.
private func packPairs(
  _ x: UnsafePointer<Float>, _ ldx: Int, _ count: Int, _ width: Int, _ k: Int, _ out: UnsafeMutableRawPointer
) {
  withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 64) { scratch in
    guard let rows = scratch.baseAddress else { return }
    let turned = rows + 1024
    var column = 0
    while column < k {
      let columns = min(k &- column, 32)
      let pairs = (columns &+ 1) >> 1
      var token = 0
      while token < count {
        let source = x + token &* ldx + column
        // The row's next columns: so many rows at once the processor does not foresee.
        bsk_prefetch(source + 128)
        bsk_prefetch(source + 144)
        let low = columns == 32 ? bsk_load_f32(source) : bsk_load_f32_partial(source, min(columns, 16))
        let high =
          columns == 32
          ? bsk_load_f32(source + 16) : columns > 16 ? bsk_load_f32_partial(source + 16, columns &- 16) : bsk_splat(0)
        bsk_store_u16(rows + 64 &* token, bsk_to_bf16(low))
        bsk_store_u16(rows + 64 &* token + 32, bsk_to_bf16(high))
        token &+= 1
      }
      if width == 1 {
        narrow(rows.assumingMemoryBound(to: Float.self), FormatCode.f32, pairs, out + 2 &* column)
      } else {
        bsk_transpose_u32(rows, 64, count, turned, 64, false)
        spread(turned, pairs, width, out + 2 &* column &* width)
      }
      column &+= 32
    }
  }
}

/// `steps` rows of 16 words, of which the first `width` count, without gaps.
@inline(__always)
private func spread(_ rows: UnsafeRawPointer, _ steps: Int, _ width: Int, _ out: UnsafeMutableRawPointer) {
  var step = 0
  while step < steps {
    bsk_store_f32_partial(out + 4 &* step &* width, bsk_load_f32(rows + 64 &* step), width)
    step &+= 1
  }
}

/// Blocks as `BlockPanel` has them: a scale of the greatest magnitude ÷ 127, numbers rounded to nearest, ties to even. A
/// block with an infinity or a NaN has the scale NaN, which then shows in every sum that it is part of.
@inline(__always)
private func packBlocks<Panel: BlockPanel>(
  _: Panel.Type, _ x: UnsafePointer<Float>, _ ldx: Int, _ count: Int, _ width: Int, _ k: Int,
  _ out: UnsafeMutableRawPointer
) {
  let words = Panel.length / 4
  var target = out
  var column = 0
  while column < k {
    let columns = min(k &- column, Panel.length)
    let scales = target + 4 &* words &* width
    let corrections = scales + 4 &* width
    var token = 0
    while token < width {
      var (scale, total): (Float, Int32) = (0, 0)
      if token < count {
        let source = x + token &* ldx + column
        let most = magnitude(source, columns)
        // NaN, and infinity, which no scale can hold.
        let isFinite = most < .infinity
        // Below, the inverse would be infinite.
        let isGreat = most > 0x1p-100
        scale = isFinite ? isGreat ? most / 127 : 0 : .nan
        let inverse = isFinite && isGreat ? 127 / most : 0
        total = quantise(source, columns, Panel.length, inverse, target + 4 &* token, 4 &* width)
      } else {
        var word = 0
        while word < words {
          (target + 4 &* (word &* width &+ token)).storeBytes(of: 0, as: UInt32.self)
          word &+= 1
        }
      }
      (scales + 4 &* token).storeBytes(of: scale, as: Float.self)
      (corrections + 4 &* token).storeBytes(of: 0 &- Panel.offset &* total, as: Int32.self)
      token &+= 1
    }
    target += Panel.tokenBlockBytes &* width
    column &+= Panel.length
  }
}

/// The greatest |x[i]|; NaN or infinity where one is not finite.
@inline(__always)
private func magnitude(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  var most = bsk_splat(0)
  var i = 0
  while i < count {
    // The row's next block: so many rows at once the processor does not foresee.
    bsk_prefetch(x + (i &+ 128))
    let v = i &+ 16 <= count ? bsk_load_f32(x + i) : bsk_load_f32_partial(x + i, count &- i)
    if bsk_any_non_finite_f32(v) { return .nan }
    let size = bsk_magnitude(v)
    most = bsk_where_less(most, size, size, most)
    i &+= 16
  }
  return bsk_greatest(most)
}

/// Rounds x[i]·inverse, which are within ±127, to bytes; words of four of them `stride` bytes apart, zeros from `count` to
/// `length`. Returns the sum of the bytes.
@inline(__always)
private func quantise(
  _ x: UnsafePointer<Float>, _ count: Int, _ length: Int, _ inverse: Float, _ out: UnsafeMutableRawPointer,
  _ stride: Int
) -> Int32 {
  let factor = bsk_splat(inverse)
  var total = bsk_splat_i32(0)
  var target = out
  var i = 0
  while i < length {
    let rest = count &- i
    let v = rest >= 16 ? bsk_load_f32(x + i) : bsk_load_f32_partial(x + i, rest > 0 ? rest : 0)
    let integers = bsk_nearest_i32(bsk_multiply(v, factor))
    total = bsk_add_i32(total, integers)
    let four = bsk_bytes(integers)
    target.storeBytes(of: four.x, as: UInt32.self)
    (target + stride).storeBytes(of: four.y, as: UInt32.self)
    (target + 2 &* stride).storeBytes(of: four.z, as: UInt32.self)
    (target + 3 &* stride).storeBytes(of: four.w, as: UInt32.self)
    target += 4 &* stride
    i &+= 16
  }
  return bsk_sum_i32(total)
}
