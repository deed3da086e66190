import CIntrinsics

/// The greatest of x[0..<count], −∞ where there is none; NaNs are passed over.
@inline(__always)
func greatest(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  let none = bsk_splat(-.infinity)
  var most = none
  var i = 0
  while i &+ 16 <= count {
    let v = bsk_load_f32(x + i)
    most = bsk_where_less(most, v, v, most)
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let v = bsk_keep_first(bsk_load_f32_partial(x + i, rest), rest, none)
    most = bsk_where_less(most, v, v, most)
  }
  return bsk_greatest(most)
}

/// x[i] = e^(x[i] − max) / Σ_j e^(x[j] − max) in place; returns ln Σ_j e^x[j]. The sum is taken in double precision.
/// All become NaN where one is NaN or +∞, or all are −∞. Of no elements, −∞.
func softmax(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
  guard count > 0 else { return -.infinity }
  let max = greatest(x, count)
  let offset = bsk_splat(max)
  let zero = bsk_splat(0)
  var sums = bsk_zero_f64()
  var i = 0
  while i &+ 16 <= count {
    let e = exponential(bsk_subtract(bsk_load_f32(x + i), offset))
    bsk_store_f32(x + i, e)
    sums = bsk_accumulate_f64(sums, e)
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let e = exponential(bsk_subtract(bsk_load_f32_partial(x + i, rest), offset))
    bsk_store_f32_partial(x + i, e, rest)
    sums = bsk_accumulate_f64(sums, bsk_keep_first(e, rest, zero))
  }
  let sum = bsk_sum_f64(sums)
  let inverse = bsk_splat(Float(1 / sum))
  i = 0
  while i &+ 16 <= count {
    bsk_store_f32(x + i, bsk_multiply(bsk_load_f32(x + i), inverse))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    bsk_store_f32_partial(x + i, bsk_multiply(bsk_load_f32_partial(x + i, rest), inverse), rest)
  }
  return Float(Double(max) + naturalLogarithm(sum))
}

/// ln Σ_i e^x[i], in the order of `softmax` and with the same bits.
func logSumExp(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  guard count > 0 else { return -.infinity }
  let max = greatest(x, count)
  let offset = bsk_splat(max)
  let zero = bsk_splat(0)
  var sums = bsk_zero_f64()
  var i = 0
  while i &+ 16 <= count {
    sums = bsk_accumulate_f64(sums, exponential(bsk_subtract(bsk_load_f32(x + i), offset)))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let e = exponential(bsk_subtract(bsk_load_f32_partial(x + i, rest), offset))
    sums = bsk_accumulate_f64(sums, bsk_keep_first(e, rest, zero))
  }
  return Float(Double(max) + naturalLogarithm(bsk_sum_f64(sums)))
}
