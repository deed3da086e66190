import CIntrinsics

// Arithmetic of merge methods over blocks of f32 in the cache.

/// Σ x[i]·y[i] in f64: lane l sums i = l, l + 16, …, then the lanes as a tree. Products of f32 are exact there.
func productSum(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Double {
  var sum = bsk_zero_f64()
  var i = 0
  while i &+ 16 <= count {
    sum = bsk_fma_f64(bsk_widen_f64(bsk_load_f32(x + i)), bsk_widen_f64(bsk_load_f32(y + i)), sum)
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let (a, b) = (bsk_load_f32_partial(x + i, rest), bsk_load_f32_partial(y + i, rest))
    sum = bsk_fma_f64(bsk_widen_f64(a), bsk_widen_f64(b), sum)
  }
  return bsk_sum_f64(sum)
}

/// Σ |x[i]| in f64, in the same order.
func magnitudeSum(_ x: UnsafePointer<Float>, _ count: Int) -> Double {
  var sum = bsk_zero_f64()
  var i = 0
  while i &+ 16 <= count {
    sum = bsk_accumulate_f64(sum, bsk_magnitude(bsk_load_f32(x + i)))
    i &+= 16
  }
  if i < count { sum = bsk_accumulate_f64(sum, bsk_magnitude(bsk_load_f32_partial(x + i, count &- i))) }
  return bsk_sum_f64(sum)
}

/// out[i] = x[i] − y[i]; `out` may be either.
func subtract(
  _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(out + i, bsk_subtract(bsk_load_f32(x + i), bsk_load_f32(y + i)))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let difference = bsk_subtract(bsk_load_f32_partial(x + i, rest), bsk_load_f32_partial(y + i, rest))
    bsk_store_f32_partial(out + i, difference, rest)
  }
}

/// out[i] = source[i] − base[i], the source being of this type.
func difference(
  _ type: UInt8, _ source: UnsafeRawPointer, _ base: UnsafePointer<Float>, _ count: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  switch type {
  case FormatCode.f32: difference(F32.self, source, base, count, out)
  case FormatCode.f16: difference(F16.self, source, base, count, out)
  case FormatCode.bf16: difference(BF16.self, source, base, count, out)
  default: return
  }
}

@inline(__always)
private func difference<Source: Format>(
  _: Source.Type, _ source: UnsafeRawPointer, _ base: UnsafePointer<Float>, _ count: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(out + i, bsk_subtract(Source.load(source + i &* Source.byteCount), bsk_load_f32(base + i)))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let values = Source.load(source + i &* Source.byteCount, rest)
    bsk_store_f32_partial(out + i, bsk_subtract(values, bsk_load_f32_partial(base + i, rest)), rest)
  }
}

/// x[i] /= divisor.
func divide(_ x: UnsafeMutablePointer<Float>, _ divisor: Float, _ count: Int) {
  let d = bsk_splat(divisor)
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(x + i, bsk_divide(bsk_load_f32(x + i), d))
    i &+= 16
  }
  if i < count {
    bsk_store_f32_partial(x + i, bsk_divide(bsk_load_f32_partial(x + i, count &- i), d), count &- i)
  }
}

/// out[i] = base[i] + (cx·x[i] + cy·y[i]) / divisor, each operation rounded; no base is 0.
func combine(
  _ x: UnsafePointer<Float>, _ cx: Float, _ y: UnsafePointer<Float>, _ cy: Float, _ divisor: Float,
  _ base: UnsafePointer<Float>?, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
  let (fx, fy, d) = (bsk_splat(cx), bsk_splat(cy), bsk_splat(divisor))
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    let (a, b) = (bsk_load_f32_partial(x + i, rest), bsk_load_f32_partial(y + i, rest))
    var sum = bsk_divide(bsk_add(bsk_multiply(fx, a), bsk_multiply(fy, b)), d)
    if let base { sum = bsk_add(bsk_load_f32_partial(base + i, rest), sum) }
    bsk_store_f32_partial(out + i, sum, rest)
    i &+= 16
  }
}

/// out[i] = the variance of deltas[0][i] … deltas[n−1][i], divided by n; computed in f64.
func variance(
  _ deltas: UnsafePointer<UnsafePointer<Float>>, _ n: Int, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
  let share = bsk_splat_f64(1 / Double(n))
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    var mean = bsk_zero_f64()
    var model = 0
    while model < n {
      mean = bsk_accumulate_f64(mean, bsk_load_f32_partial(deltas[model] + i, rest))
      model &+= 1
    }
    mean = bsk_multiply_f64(mean, bsk_splat_f64(-1 / Double(n)))
    var sum = bsk_zero_f64()
    model = 0
    while model < n {
      let distance = bsk_accumulate_f64(mean, bsk_load_f32_partial(deltas[model] + i, rest))
      sum = bsk_fma_f64(distance, distance, sum)
      model &+= 1
    }
    bsk_store_f32_partial(out + i, bsk_narrow_f64(bsk_multiply_f64(sum, share)), rest)
    i &+= 16
  }
}

/// Flags of `mergeDeltas`.
enum MergeFlags {
  /// Keep what agrees with the sign of the sum, and divide by the weights of what was kept.
  static var elect: UInt32 { @inline(__always) get { 1 } }
  /// Divide: by `divisor`, or where elected by the sum of kept weights (0 counts as 1).
  static var normalize: UInt32 { @inline(__always) get { 2 } }
  /// The sum of kept weights is at least `divisor` (and 0 does not count as 1).
  static var floor: UInt32 { @inline(__always) get { 4 } }
}

/// out[i] = base[i] + lambda · Σⱼ dⱼ·cⱼ / divisor, dⱼ = (deltas[j][i]·aⱼ)·bⱼ.
///
/// `factors` holds four numbers per delta: a, b, c, and the weight that the divisor counts. With `elect` (TIES, arXiv
/// 2306.01708) only the dⱼ count whose sign is that of Σdⱼ (0 is positive); zeros never do.
func mergeDeltas(
  _ deltas: UnsafePointer<UnsafePointer<Float>>, _ factors: UnsafePointer<Float>, _ n: Int, _ flags: UInt32,
  _ divisor: Float, _ lambda: Float, _ base: UnsafePointer<Float>, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
  let (elects, normalizes) = (flags & MergeFlags.elect != 0, flags & MergeFlags.normalize != 0)
  let hasFloor = flags & MergeFlags.floor != 0
  let (d, l, one) = (bsk_splat(divisor), bsk_splat(lambda), bsk_splat(1))
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    var direction = bsk_splat(0)
    var model = 0
    if elects {
      while model < n {
        direction = bsk_add(direction, scaled(deltas, factors, model, i, rest))
        model &+= 1
      }
    }
    var sum = bsk_splat(0)
    var weights = bsk_splat(0)
    model = 0
    while model < n {
      let delta = scaled(deltas, factors, model, i, rest)
      let part = bsk_multiply(delta, bsk_splat(factors[4 &* model &+ 2]))
      if elects {
        sum = bsk_add(sum, bsk_where_agrees(part, delta, direction))
        weights = bsk_add(weights, bsk_where_agrees(bsk_splat(factors[4 &* model &+ 3]), delta, direction))
      } else {
        sum = bsk_add(sum, part)
      }
      model &+= 1
    }
    if normalizes {
      if !elects {
        sum = bsk_divide(sum, d)
      } else if hasFloor {
        sum = bsk_divide(sum, bsk_where_less(weights, d, d, weights))
      } else {
        sum = bsk_divide(sum, bsk_or_if_zero(weights, one))
      }
    }
    bsk_store_f32_partial(out + i, bsk_add(bsk_load_f32_partial(base + i, rest), bsk_multiply(sum, l)), rest)
    i &+= 16
  }
}

@inline(__always)
private func scaled(
  _ deltas: UnsafePointer<UnsafePointer<Float>>, _ factors: UnsafePointer<Float>, _ model: Int, _ i: Int, _ rest: Int
) -> bsk_f32x16 {
  let delta = bsk_load_f32_partial(deltas[model] + i, rest)
  let once = bsk_multiply(delta, bsk_splat(factors[4 &* model]))
  return bsk_multiply(once, bsk_splat(factors[4 &* model &+ 1]))
}
