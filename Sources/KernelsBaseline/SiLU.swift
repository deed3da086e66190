import CIntrinsics

/// silu(gate) · up, silu(g) = g / (1 + e^−g).
@inline(__always)
private func siluMultiply(_ gate: bsk_f32x16, _ up: bsk_f32x16) -> bsk_f32x16 {
  let e = exponential(bsk_subtract(bsk_splat(0), gate))
  return bsk_multiply(bsk_divide(gate, bsk_add(bsk_splat(1), e)), up)
}

/// out[i] = silu(gate[i]) · up[i]; `out` may be `gate` or `up`.
func siluMultiply(
  _ gate: UnsafePointer<Float>, _ up: UnsafePointer<Float>, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(out + i, siluMultiply(bsk_load_f32(gate + i), bsk_load_f32(up + i)))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let product = siluMultiply(bsk_load_f32_partial(gate + i, rest), bsk_load_f32_partial(up + i, rest))
    bsk_store_f32_partial(out + i, product, rest)
  }
}
