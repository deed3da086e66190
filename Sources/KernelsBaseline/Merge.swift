import CIntrinsics

/// out[i] = Σ_t coefficient_t · source_t[i], summed in order, the first term alone with the bits of `scale`, every further
/// one as in `scaleAdd`; or, where `accumulate`, added one after the other to what out[i] holds.
func merge(
  _ terms: UnsafePointer<bsk_term>, _ termCount: Int, _ type: UInt8, _ count: Int, _ accumulate: Bool,
  _ out: UnsafeMutablePointer<Float>
) {
  switch type {
  case FormatCode.f32: merge(F32.self, terms, termCount, count, accumulate, out)
  case FormatCode.f16: merge(F16.self, terms, termCount, count, accumulate, out)
  case FormatCode.bf16: merge(BF16.self, terms, termCount, count, accumulate, out)
  default: return
  }
}

@inline(__always)
private func merge<Source: Format>(
  _: Source.Type, _ terms: UnsafePointer<bsk_term>, _ termCount: Int, _ count: Int, _ accumulate: Bool,
  _ out: UnsafeMutablePointer<Float>
) {
  var i = 0
  while i &+ 64 <= count {
    let target = out + i
    var sums = Accumulators()
    var term = 0
    if accumulate {
      sums.a = bsk_load_f32(target)
      sums.b = bsk_load_f32(target + 16)
      sums.c = bsk_load_f32(target + 32)
      sums.d = bsk_load_f32(target + 48)
    } else if termCount > 0 {
      let w = load(Source.self, terms[0].source + i &* Source.byteCount)
      if terms[0].coefficient == 1 {
        sums = w
      } else {
        let c = bsk_splat(terms[0].coefficient)
        sums.a = bsk_multiply(c, w.a)
        sums.b = bsk_multiply(c, w.b)
        sums.c = bsk_multiply(c, w.c)
        sums.d = bsk_multiply(c, w.d)
      }
      term = 1
    }
    while term < termCount {
      sums.add(load(Source.self, terms[term].source + i &* Source.byteCount), bsk_splat(terms[term].coefficient))
      term &+= 1
    }
    bsk_store_f32(target, sums.a)
    bsk_store_f32(target + 16, sums.b)
    bsk_store_f32(target + 32, sums.c)
    bsk_store_f32(target + 48, sums.d)
    i &+= 64
  }
  while i < count {
    let width = min(count &- i, 16)
    var sum = accumulate ? bsk_load_f32_partial(out + i, width) : bsk_splat(0)
    var term = 0
    while term < termCount {
      let value = Source.load(terms[term].source + i &* Source.byteCount, width)
      let c = bsk_splat(terms[term].coefficient)
      if term == 0, !accumulate {
        sum = terms[0].coefficient == 1 ? value : bsk_multiply(c, value)
      } else {
        sum = bsk_fma(c, value, sum)
      }
      term &+= 1
    }
    bsk_store_f32_partial(out + i, sum, width)
    i &+= 16
  }
}

/// 64 numbers. They are asked for well ahead: a row ends sooner than the processor would foresee the next.
@inline(__always)
private func load<Source: Format>(_: Source.Type, _ source: UnsafeRawPointer) -> Accumulators {
  bsk_prefetch(source + 1024)
  if Source.byteCount > 1 { bsk_prefetch(source + 1088) }
  var w = Accumulators()
  w.a = Source.load(source)
  w.b = Source.load(source + 16 &* Source.byteCount)
  w.c = Source.load(source + 32 &* Source.byteCount)
  w.d = Source.load(source + 48 &* Source.byteCount)
  return w
}

/// The sums of 64 numbers.
private struct Accumulators {
  var a = bsk_splat(0)
  var b = bsk_splat(0)
  var c = bsk_splat(0)
  var d = bsk_splat(0)

  @inline(__always) init() {}

  @inline(__always)
  mutating func add(_ w: Accumulators, _ x: bsk_f32x16) {
    a = bsk_fma(w.a, x, a)
    b = bsk_fma(w.b, x, b)
    c = bsk_fma(w.c, x, c)
    d = bsk_fma(w.d, x, d)
  }
}
