import CIntrinsics

/// out[i] = source[i]; exact.
func widen(_ type: UInt8, _ source: UnsafeRawPointer, _ count: Int, _ out: UnsafeMutablePointer<Float>) {
  switch type {
  case FormatCode.f32: widen(F32.self, source, count, out)
  case FormatCode.f16: widen(F16.self, source, count, out)
  case FormatCode.bf16: widen(BF16.self, source, count, out)
  default: return
  }
}

@inline(__always)
private func widen<Source: Format>(
  _: Source.Type, _ source: UnsafeRawPointer, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(out + i, Source.load(source + i &* Source.byteCount))
    i &+= 16
  }
  if i < count {
    let rest = count &- i
    bsk_store_f32_partial(out + i, Source.load(source + i &* Source.byteCount, rest), rest)
  }
}

/// out[i] = source[i] rounded to nearest, ties to even; beyond f16's range ±∞; NaN stays NaN.
func narrow(_ source: UnsafePointer<Float>, _ type: UInt8, _ count: Int, _ out: UnsafeMutableRawPointer) {
  var i = 0
  switch type {
  case FormatCode.f32:
    while i &+ 16 <= count {
      bsk_store_f32(out + i &* 4, bsk_load_f32(source + i))
      i &+= 16
    }
    if i < count { bsk_store_f32_partial(out + i &* 4, bsk_load_f32_partial(source + i, count &- i), count &- i) }
  case FormatCode.f16:
    while i &+ 16 <= count {
      bsk_store_u16(out + i &* 2, bsk_to_f16(bsk_load_f32(source + i)))
      i &+= 16
    }
    if i < count {
      bsk_store_u16_partial(out + i &* 2, bsk_to_f16(bsk_load_f32_partial(source + i, count &- i)), count &- i)
    }
  case FormatCode.bf16:
    while i &+ 16 <= count {
      bsk_store_u16(out + i &* 2, bsk_to_bf16(bsk_load_f32(source + i)))
      i &+= 16
    }
    if i < count {
      bsk_store_u16_partial(out + i &* 2, bsk_to_bf16(bsk_load_f32_partial(source + i, count &- i)), count &- i)
    }
  default: return
  }
}
