import CIntrinsics

/// q8_0: signed bytes with an f16 scale for each 32 elements of a position, the scales after them as [head size / 32][64].
/// Keys are stored BSK_BYTE_OFFSET above their value. Head sizes are multiples of 32.
///
/// A query is quantised likewise, and weights times the values' scales as 16-bit integers in units of their block's
/// greatest: so the products of 32 elements, or 64 positions, are summed exactly.
enum ByteCache: CacheStorage {
  /// Per 32 elements of a query: the bytes, their scale, −BSK_BYTE_OFFSET times their sum.
  private static var groupBytes: Int { @inline(__always) get { 40 } }

  @inline(__always)
  static func prepare(_ query: UnsafeMutablePointer<Float>, _ headDim: Int, _ scale: Float) {
    var target = UnsafeMutableRawPointer(query)
    var i = 0
    while i < headDim {
      let group = QuantisedGroup(query + i)
      bsk_store_u8(target, group.first)
      bsk_store_u8(target + 16, group.second)
      (target + 32).storeBytes(of: group.scale * scale, as: Float.self)
      let sum = bsk_sum_i8(group.first) &+ bsk_sum_i8(group.second)
      (target + 36).storeBytes(of: 0 &- BSK_BYTE_OFFSET &* sum, as: Int32.self)
      target += groupBytes
      i &+= 32
    }
  }

  @inline(__always)
  static func score(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ keys: UnsafeRawPointer,
    _ next: UnsafeRawPointer?, _ headDim: Int, _ positions: Int
  ) {
    let queries = UnsafePointer(bsk_queries(scratch) + query)
    var group = 0
    while group < headDim >> 5 {
      let offset = group &* groupBytes
      PanelProducts(KeyBytes.self, keys + group &* 2048, 256, 8, queries, offset, (next ?? keys) + group &* 2048).store(
        count, positions, bsk_sums(scratch))
      let scales = keys + 64 &* headDim + 128 &* group
      var i = 0
      while i < positions {
        let keyScale = bsk_from_f16(bsk_load_u16(scales + 2 &* i))
        var q = 0
        while q < count {
          let note = queries[q] + offset + 32
          let factor = bsk_multiply(bsk_splat(note.load(as: Float.self)), keyScale)
          let bias = bsk_splat_i32(note.load(fromByteOffset: 4, as: Int32.self))
          let sum = bsk_f32_from_i32(bsk_add_i32(bsk_load_i32(bsk_sums(scratch) + 64 &* q + i), bias))
          let weights = bsk_weights(scratch) + 64 &* (query &+ q) + i
          bsk_store_f32(weights, bsk_fma(sum, factor, group == 0 ? bsk_splat(0) : bsk_load_f32(weights)))
          q &+= 1
        }
        i &+= 16
      }
      group &+= 1
    }
  }

  @inline(__always)
  static func round(
    _ weights: UnsafeMutablePointer<Float>, _ scratch: Scratch, _ query: Int
  ) -> bsk_f32x16 { sumOf64(weights) }

  @inline(__always)
  static func factors(
    _ scratch: Scratch, _ query: Int
  ) -> UnsafeMutableRawPointer { bsk_factors(scratch) + 256 &* query }

  @inline(__always)
  static func mix(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ values: UnsafeRawPointer,
    _ next: UnsafeRawPointer?, _ headDim: Int, _ low: Int, _ high: Int
  ) {
    let factors = UnsafePointer(bsk_factor_rows(scratch) + query)
    let sums = bsk_sums(scratch)
    let start = low >> 2
    let words = (high &+ 3) >> 2 &- start
    let peaks = bsk_peaks(scratch)
    bsk_store_f32(peaks, powerOf2(bsk_load_f32(peaks)))
    normalise(scratch, query, count)
    var column = 0
    while column < headDim {
      let unit = quantise(scratch, query, count, values + 64 &* headDim + 4 &* column, low, high)
      let near = (next ?? values) + 64 &* column
      let first = values + 4 &* (start &* headDim &+ column)
      // Upper bytes into sums 0 ..< 32, lower ones into 32 ..< 64.
      PanelProducts(ValueBytes.self, first, 4 &* headDim, words, factors, 4 &* start, near).store(count, 32, sums)
      PanelProducts(ValueBytes.self, first, 4 &* headDim, words, factors, 64 &+ 4 &* start, near)
        .store(count, 32, sums + 32)
      var q = 0
      while q < count {
        let out = bsk_outs(scratch)[query &+ q] + column
        let correction = bsk_splat(bsk_corrections(scratch)[query &+ q])
        let unit = bsk_splat(unit * peaks[query &+ q])
        var c = 0
        while c < 32 {
          let upper = bsk_f32_from_i32(bsk_load_i32(sums + 64 &* q + c))
          let lower = bsk_f32_from_i32(bsk_load_i32(sums + 64 &* q + 32 + c))
          let sum = bsk_fma(upper, bsk_splat(256), lower)
          let before = bsk_multiply(bsk_load_f32(out + c), correction)
          bsk_store_f32(out + c, bsk_fma(sum, unit, before))
          c &+= 16
        }
        q &+= 1
      }
      column &+= 32
    }
  }

  /// Divides the weights of each query by their greatest.
  @inline(__always)
  private static func normalise(_ scratch: Scratch, _ query: Int, _ count: Int) {
    var q = query
    while q < query &+ count {
      let weights = bsk_weights(scratch) + 64 &* q
      let peak = bsk_peaks(scratch)[q]
      // A block that is so far below the others adds nothing.
      let inverse = bsk_splat(peak > 0x1p-100 ? 1 / peak : 0)
      var i = 0
      while i < 64 {
        bsk_store_f32(weights + i, bsk_multiply(bsk_load_f32(weights + i), inverse))
        i &+= 16
      }
      q &+= 1
    }
  }

  /// Of each query the weights times `scales` as integers 0 ... 65534, in two rows of 64 bytes, upper and lower. Returns
  /// their unit, NaN where a scale is not finite.
  @inline(__always)
  private static func quantise(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ scales: UnsafeRawPointer, _ low: Int, _ high: Int
  ) -> Float {
    var (a, b) = (scale(scales, 0, low, high), scale(scales, 16, low, high))
    var (c, d) = (scale(scales, 32, low, high), scale(scales, 48, low, high))
    var magnitude = bsk_greater_magnitude(bsk_greater_magnitude(bsk_zero_u32(), a), b)
    magnitude = bsk_greater_magnitude(bsk_greater_magnitude(magnitude, c), d)
    let most = bsk_peak_magnitude(magnitude)
    let inverse = bsk_splat(most > 0 && most < .infinity ? 65534 / most : 0)
    a = bsk_multiply(a, inverse)
    b = bsk_multiply(b, inverse)
    c = bsk_multiply(c, inverse)
    d = bsk_multiply(d, inverse)
    var q = query
    while q < query &+ count {
      let weights = bsk_weights(scratch) + 64 &* q
      let target = factors(scratch, q)
      store(bsk_multiply(bsk_load_f32(weights), a), target)
      store(bsk_multiply(bsk_load_f32(weights + 16), b), target + 16)
      store(bsk_multiply(bsk_load_f32(weights + 32), c), target + 32)
      store(bsk_multiply(bsk_load_f32(weights + 48), d), target + 48)
      q &+= 1
    }
    return most < .infinity ? most / 65534 : .nan
  }

  /// Scales of 16 positions from `i` on; 0 for those that are not in low ..< high, whatever is there.
  @inline(__always)
  private static func scale(_ scales: UnsafeRawPointer, _ i: Int, _ low: Int, _ high: Int) -> bsk_f32x16 {
    bsk_keep_range(bsk_from_f16(bsk_load_u16(scales + 2 &* i)), low &- i, high &- i, bsk_splat(0))
  }

  @inline(__always)
  private static func store(_ x: bsk_f32x16, _ target: UnsafeMutableRawPointer) {
    let bits = bsk_round_to_bits(x)
    bsk_store_u8(target, bsk_high_bytes(bits))
    bsk_store_u8(target + 64, bsk_low_bytes(bits))
  }
}

/// 32 numbers as bytes −127 ... 127 in units of `scale`, to nearest. A NaN or infinity makes the scale NaN.
struct QuantisedGroup {
  let first: bsk_u8x16
  let second: bsk_u8x16
  let scale: Float

  @inline(__always)
  init(_ source: UnsafePointer<Float>) {
    let (a, b) = (bsk_load_f32(source), bsk_load_f32(source + 16))
    let peak = bsk_peak_magnitude(bsk_greater_magnitude(bsk_greater_magnitude(bsk_zero_u32(), a), b))
    // Below it the inverse would be infinite; f16 has no such scale anyway.
    let isTiny = peak < 0x1p-100
    scale = isTiny ? 0 : peak < .infinity ? peak / 127 : .nan
    let inverse = bsk_splat(scale > 0 ? 1 / scale : 0)
    first = bsk_low_bytes(bsk_round_to_bits(bsk_multiply(a, inverse)))
    second = bsk_low_bytes(bsk_round_to_bits(bsk_multiply(b, inverse)))
  }
}
