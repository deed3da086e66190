import CIntrinsics

/// y[i] = (x[i] · 1/√(mean(x²) + epsilon)) · weight[i]; `y` may be `x`.
func rmsNorm(
  _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ epsilon: Float, _ count: Int,
  _ y: UnsafeMutablePointer<Float>
) {
  guard count > 0 else { return }
  var squares = bsk_splat(0)
  var i = 0
  while i &+ 16 <= count {
    let v = bsk_load_f32(x + i)
    squares = bsk_fma(v, v, squares)
    i &+= 16
  }
  if i < count {
    let v = bsk_load_f32_partial(x + i, count &- i)
    squares = bsk_fma(v, v, squares)
  }
  let inverse = bsk_splat(1 / bsk_square_root(bsk_sum(squares) / Float(count) + epsilon))
  i = 0
  while i &+ 16 <= count {
    bsk_store_f32(y + i, bsk_multiply(bsk_multiply(bsk_load_f32(x + i), inverse), bsk_load_f32(weight + i)))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let scaled = bsk_multiply(bsk_load_f32_partial(x + i, rest), inverse)
    bsk_store_f32_partial(y + i, bsk_multiply(scaled, bsk_load_f32_partial(weight + i, rest)), rest)
  }
}
