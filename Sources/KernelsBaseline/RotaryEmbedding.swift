import CIntrinsics

/// Rotates the pairs (i, i + rotaryDim/2) of the first rotaryDim elements of each head, as Hugging Face pairs them:
/// a' = a·cos − b·sin, b' = b·cos + a·sin. `x` is [headCount, headDim], `cosine` and `sine` [rotaryDim / 2].
func rotate(
  _ x: UnsafeMutablePointer<Float>, _ headCount: Int, _ headDim: Int, _ rotaryDim: Int,
  _ cosine: UnsafePointer<Float>, _ sine: UnsafePointer<Float>
) {
  let half = rotaryDim >> 1
  var head = 0
  while head < headCount {
    let first = x + head &* headDim
    let second = first + half
    var i = 0
    while i &+ 16 <= half {
      let (c, s) = (bsk_load_f32(cosine + i), bsk_load_f32(sine + i))
      let (a, b) = (bsk_load_f32(first + i), bsk_load_f32(second + i))
      bsk_store_f32(first + i, bsk_subtract(bsk_multiply(a, c), bsk_multiply(b, s)))
      bsk_store_f32(second + i, bsk_add(bsk_multiply(b, c), bsk_multiply(a, s)))
      i &+= 16
    }
    if i < half {
      let rest = half &- i
      let (c, s) = (bsk_load_f32_partial(cosine + i, rest), bsk_load_f32_partial(sine + i, rest))
      let (a, b) = (bsk_load_f32_partial(first + i, rest), bsk_load_f32_partial(second + i, rest))
      bsk_store_f32_partial(first + i, bsk_subtract(bsk_multiply(a, c), bsk_multiply(b, s)), rest)
      bsk_store_f32_partial(second + i, bsk_add(bsk_multiply(b, c), bsk_multiply(a, s)), rest)
    }
    head &+= 1
  }
}
