import CIntrinsics

/// x[i] += y[i].
func add(_ x: UnsafeMutablePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) {
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(x + i, bsk_add(bsk_load_f32(x + i), bsk_load_f32(y + i)))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let sum = bsk_add(bsk_load_f32_partial(x + i, rest), bsk_load_f32_partial(y + i, rest))
    bsk_store_f32_partial(x + i, sum, rest)
  }
}
