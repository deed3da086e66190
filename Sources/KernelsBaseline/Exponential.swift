import CIntrinsics

/// e^x per lane, within 2 ulp; 0 below −104, infinity above 88.73, NaN for NaN.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, then e^x = 2^n · e^r, e^r by its Taylor polynomial of degree 7 (remainder below
/// 6e-9). ln 2 is split in two: the first part has 9 bits, so that n times it is exact.
@inline(__always)
func exponential(_ x: bsk_f32x16) -> bsk_f32x16 {
  let low = bsk_splat(-104)
  let high = bsk_splat(89)
  var x = bsk_where_less(x, low, low, x)
  x = bsk_where_less(high, x, high, x)
  let rounder = bsk_splat(BSK_ROUNDER)
  let shifted = bsk_add(bsk_multiply(x, bsk_splat(1.442695041)), rounder)
  let n = bsk_subtract(shifted, rounder)
  var r = bsk_fma(n, bsk_splat(-0.693359375), x)
  r = bsk_fma(n, bsk_splat(2.12194440e-4), r)
  var q = bsk_splat(1 / 5040)
  q = bsk_fma(q, r, bsk_splat(1 / 720))
  q = bsk_fma(q, r, bsk_splat(1 / 120))
  q = bsk_fma(q, r, bsk_splat(1 / 24))
  q = bsk_fma(q, r, bsk_splat(1 / 6))
  q = bsk_fma(q, r, bsk_splat(1 / 2))
  let tail = bsk_fma(bsk_multiply(r, r), q, r)
  return bsk_scale_by_power_of_2(bsk_add(bsk_splat(1), tail), shifted)
}

/// out[i] = e^x[i]; `out` may be `x`.
func exponential(_ x: UnsafePointer<Float>, _ count: Int, _ out: UnsafeMutablePointer<Float>) {
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(out + i, exponential(bsk_load_f32(x + i)))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    bsk_store_f32_partial(out + i, exponential(bsk_load_f32_partial(x + i, rest)), rest)
  }
}
