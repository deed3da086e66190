import CIntrinsics

/// out[i] = coefficient · source[i]; where the coefficient is 1, the very bits of source[i].
func scale(
  _ coefficient: Float, _ type: UInt8, _ source: UnsafeRawPointer, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
  if coefficient == 1 { return widen(type, source, count, out) }
  switch type {
  case FormatCode.f32: scale(F32.self, coefficient, source, count, out)
  case FormatCode.f16: scale(F16.self, coefficient, source, count, out)
  case FormatCode.bf16: scale(BF16.self, coefficient, source, count, out)
  default: return
  }
}

@inline(__always)
private func scale<Source: Format>(
  _: Source.Type, _ coefficient: Float, _ source: UnsafeRawPointer, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
  let c = bsk_splat(coefficient)
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(out + i, bsk_multiply(c, Source.load(source + i &* Source.byteCount)))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    bsk_store_f32_partial(out + i, bsk_multiply(c, Source.load(source + i &* Source.byteCount, rest)), rest)
  }
}

/// accumulator[i] = coefficient · source[i] + accumulator[i], in one rounding where the level has fused multiply-add.
func scaleAdd(
  _ coefficient: Float, _ type: UInt8, _ source: UnsafeRawPointer, _ count: Int,
  _ accumulator: UnsafeMutablePointer<Float>
) {
  switch type {
  case FormatCode.f32: scaleAdd(F32.self, coefficient, source, count, accumulator)
  case FormatCode.f16: scaleAdd(F16.self, coefficient, source, count, accumulator)
  case FormatCode.bf16: scaleAdd(BF16.self, coefficient, source, count, accumulator)
  default: return
  }
}

@inline(__always)
private func scaleAdd<Source: Format>(
  _: Source.Type, _ coefficient: Float, _ source: UnsafeRawPointer, _ count: Int,
  _ accumulator: UnsafeMutablePointer<Float>
) {
  let c = bsk_splat(coefficient)
  var i = 0
  while i &+ 16 <= count {
    let sum = bsk_fma(c, Source.load(source + i &* Source.byteCount), bsk_load_f32(accumulator + i))
    bsk_store_f32(accumulator + i, sum)
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    let addend = bsk_load_f32_partial(accumulator + i, rest)
    let sum = bsk_fma(c, Source.load(source + i &* Source.byteCount, rest), addend)
    bsk_store_f32_partial(accumulator + i, sum, rest)
  }
}
