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

/// out[i] = e^((x[i] − max) / temperature), and sums[c] = Σ out[0 ..< min(128·(c + 1), count)]; returns max + ln of the last
/// sum, at temperature 1 what `logSumExp` returns, NaN in the same cases. The sums never fall.
func weigh(
  _ x: UnsafePointer<Float>, _ count: Int, _ temperature: Float, _ out: UnsafeMutablePointer<Float>,
  _ sums: UnsafeMutablePointer<Double>
) -> Float {
  guard count > 0 else { return -.infinity }
  let max = greatest(x, count)
  let offset = bsk_splat(max)
  let divisor = bsk_splat(temperature)
  let zero = bsk_splat(0)
  var lanes = bsk_zero_f64()
  var i = 0
  while i &+ 16 <= count {
    let difference = bsk_subtract(bsk_load_f32(x + i), offset)
    let e = exponential(temperature == 1 ? difference : bsk_divide(difference, divisor))
    bsk_store_f32(out + i, e)
    lanes = bsk_accumulate_f64(lanes, e)
    i &+= 16
    if i & 127 == 0 { sums[i >> 7 &- 1] = bsk_sum_f64(lanes) }
  }
  if i < count {
    let rest = count &- i
    let e = exponential(bsk_divide(bsk_subtract(bsk_load_f32_partial(x + i, rest), offset), divisor))
    bsk_store_f32_partial(out + i, e, rest)
    lanes = bsk_accumulate_f64(lanes, bsk_keep_first(e, rest, zero))
  }
  let sum = bsk_sum_f64(lanes)
  sums[(count &- 1) >> 7] = sum
  return Float(Double(max) + naturalLogarithm(sum))
}
