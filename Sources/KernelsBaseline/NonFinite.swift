import CIntrinsics

/// The index of the first element that is infinite or NaN, −1 where there is none.
func firstNonFinite(_ type: UInt8, _ source: UnsafeRawPointer, _ count: Int) -> Int {
  switch type {
  case FormatCode.f32: firstNonFinite(F32.self, source, count)
  case FormatCode.f16: firstNonFinite(F16.self, source, count)
  case FormatCode.bf16: firstNonFinite(BF16.self, source, count)
  default: -1
  }
}

@inline(__always)
private func firstNonFinite<Source: Format>(_: Source.Type, _ source: UnsafeRawPointer, _ count: Int) -> Int {
  var i = 0
  while i &+ 16 <= count, !bsk_any_non_finite_f32(Source.load(source + i &* Source.byteCount)) { i &+= 16 }
  while i < count {
    if bsk_any_non_finite_f32(Source.load(source + i &* Source.byteCount, 1)) { return i }
    i &+= 1
  }
  return -1
}
