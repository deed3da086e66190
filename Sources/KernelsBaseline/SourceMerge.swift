import CIntrinsics

// Task vectors that are never stored: each difference of a model and the base is made anew in a register.

/// Counts magnitudes of source[i] − base[i] by their bits: into counts[0] those from low + (bins << shift) on, into counts[1]
/// those that are `known` and from `low` on, and into histogram[(bits − low) >> shift] the others from `low` on.
@inline(never)
func countDeltas(
  _ type: UInt8, _ source: UnsafeRawPointer, _ base: UnsafeRawPointer, _ count: Int, _ low: UInt32, _ shift: UInt32,
  _ bins: UInt32, _ known: UInt32, _ histogram: UnsafeMutablePointer<UInt32>, _ counts: UnsafeMutablePointer<Int>
) {
  switch type {
  case FormatCode.f32: countDeltas(F32.self, source, base, count, low, shift, bins, known, histogram, counts)
  case FormatCode.f16: countDeltas(F16.self, source, base, count, low, shift, bins, known, histogram, counts)
  case FormatCode.bf16: countDeltas(BF16.self, source, base, count, low, shift, bins, known, histogram, counts)
  default: return
  }
}

@inline(__always)
private func countDeltas<Source: Format>(
  _: Source.Type, _ source: UnsafeRawPointer, _ base: UnsafeRawPointer, _ count: Int, _ low: UInt32, _ shift: UInt32,
  _ bins: UInt32, _ known: UInt32, _ histogram: UnsafeMutablePointer<UInt32>, _ counts: UnsafeMutablePointer<Int>
) {
  let high = low &+ bins << shift
  var (above, equal) = (0, 0)
  withUnsafeTemporaryAllocation(byteCount: 256, alignment: 64) { aside in
    guard let start = aside.baseAddress else { return }
    let aside = start.assumingMemoryBound(to: UInt32.self)
    /// Which of 16 magnitudes are at least `high`, at least `low`, and known; the differences themselves go aside.
    func sort(_ delta: bsk_f32x16, _ first: Int) -> (UInt64, UInt64, UInt64) {
      bsk_store_f32(aside + first, delta)
      return (
        UInt64(bsk_lanes_from(delta, high)), UInt64(bsk_lanes_from(delta, low)), UInt64(bsk_lanes_equal(delta, known))
      )
    }
    func sort(_ i: Int, _ first: Int) -> (UInt64, UInt64, UInt64) {
      let place = i &* Source.byteCount
      return sort(bsk_subtract(Source.load(source + place), Source.load(base + place)), first)
    }
    // Four vectors at once: whether one has any for the histogram is not to be foreseen.
    func enter(_ sorted: (beyond: UInt64, within: UInt64, same: UInt64)) {
      let within = sorted.within & ~sorted.beyond
      let same = sorted.same & within
      above &+= sorted.beyond.nonzeroBitCount
      equal &+= same.nonzeroBitCount
      var others = within & ~same
      while others != 0 {
        let bits = aside[others.trailingZeroBitCount] & 0x7fff_ffff
        histogram[Int(truncatingIfNeeded: (bits &- low) >> shift)] &+= 1
        others &= others &- 1
      }
    }
    var i = 0
    while i &+ 64 <= count {
      // Ahead: little is done with each line.
      var line = i &* Source.byteCount &+ 2048
      for _ in 0..<Source.byteCount {
        bsk_prefetch_stream(source + line)
        bsk_prefetch_stream(base + line)
        line &+= 64
      }
      let (a, b, c, d) = (sort(i, 0), sort(i &+ 16, 16), sort(i &+ 32, 32), sort(i &+ 48, 48))
      enter(
        (
          a.0 | b.0 << 16 | c.0 << 32 | d.0 << 48, a.1 | b.1 << 16 | c.1 << 32 | d.1 << 48,
          a.2 | b.2 << 16 | c.2 << 32 | d.2 << 48
        ))
      i &+= 64
    }
    while i &+ 16 <= count {
      enter(sort(i, 0))
      i &+= 16
    }
    let (rest, place) = (count &- i, i &* Source.byteCount)
    let present: UInt64 = 1 &<< UInt64(truncatingIfNeeded: rest) &- 1
    let last = sort(bsk_subtract(Source.load(source + place, rest), Source.load(base + place, rest)), 0)
    enter((last.0 & present, last.1 & present, last.2 & present))
  }
  counts[0] &+= above
  counts[1] &+= equal
}

/// out[i] = base[i] + lambda · Σⱼ dⱼ, dⱼ = ((sources[j][i] − base[i])·aⱼ)·bⱼ where the difference's magnitude has at least the
/// bits lows[j], else 0: the bits of `keepMagnitudes` and then `mergeDeltas`. `elects` as there.
///
/// - Parameters:
///   - factors: a and b of each source.
///   - n: 1 to 4.
@inline(never)
func mergeSources(
  _ type: UInt8, _ sources: UnsafePointer<UnsafeRawPointer>, _ lows: UnsafePointer<UInt32>,
  _ factors: UnsafePointer<Float>, _ n: Int, _ elects: Bool, _ lambda: Float, _ base: UnsafeRawPointer, _ count: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  switch type {
  case FormatCode.f32: mergeSources(F32.self, sources, lows, factors, n, elects, lambda, base, count, out)
  case FormatCode.f16: mergeSources(F16.self, sources, lows, factors, n, elects, lambda, base, count, out)
  case FormatCode.bf16: mergeSources(BF16.self, sources, lows, factors, n, elects, lambda, base, count, out)
  default: return
  }
}

@inline(__always)
private func mergeSources<Source: Format>(
  _: Source.Type, _ sources: UnsafePointer<UnsafeRawPointer>, _ lows: UnsafePointer<UInt32>,
  _ factors: UnsafePointer<Float>, _ n: Int, _ elects: Bool, _ lambda: Float, _ base: UnsafeRawPointer, _ count: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  switch (n, elects) {
  case (1, true): TaskVectors<Source, OneTerm>(sources, lows, factors).elect(lambda, base, count, out)
  case (2, true): TaskVectors<Source, TwoTerms>(sources, lows, factors).elect(lambda, base, count, out)
  case (3, true): TaskVectors<Source, ThreeTerms>(sources, lows, factors).elect(lambda, base, count, out)
  case (4, true): TaskVectors<Source, FourTerms>(sources, lows, factors).elect(lambda, base, count, out)
  case (1, false): TaskVectors<Source, OneTerm>(sources, lows, factors).sum(lambda, base, count, out)
  case (2, false): TaskVectors<Source, TwoTerms>(sources, lows, factors).sum(lambda, base, count, out)
  case (3, false): TaskVectors<Source, ThreeTerms>(sources, lows, factors).sum(lambda, base, count, out)
  case (4, false): TaskVectors<Source, FourTerms>(sources, lows, factors).sum(lambda, base, count, out)
  default: return
  }
}

/// One model's task vector: what is kept of it, scaled and weighted.
private struct TaskVector<Source: Format> {
  let source: UnsafeRawPointer
  let low: UInt32
  let scale: bsk_f32x16
  let weight: bsk_f32x16

  @inline(__always)
  init(
    _ index: Int, _ sources: UnsafePointer<UnsafeRawPointer>, _ lows: UnsafePointer<UInt32>,
    _ factors: UnsafePointer<Float>
  ) {
    source = sources[index]
    low = lows[index]
    scale = bsk_splat(factors[2 &* index])
    weight = bsk_splat(factors[2 &* index &+ 1])
  }

  @inline(__always)
  func load(_ i: Int, _ rest: Int, _ base: bsk_f32x16) -> bsk_f32x16 {
    let place = source + i &* Source.byteCount
    bsk_prefetch(place + 1024)
    let delta = bsk_subtract(rest == 16 ? Source.load(place) : Source.load(place, rest), base)
    return bsk_multiply(bsk_multiply(bsk_where_within(delta, low, .max), scale), weight)
  }
}

/// Up to four of them, in registers.
private struct TaskVectors<Source: Format, Count: TermCount> {
  let a: TaskVector<Source>
  let b: TaskVector<Source>
  let c: TaskVector<Source>
  let d: TaskVector<Source>

  @inline(__always)
  init(
    _ sources: UnsafePointer<UnsafeRawPointer>, _ lows: UnsafePointer<UInt32>, _ factors: UnsafePointer<Float>
  ) {
    a = TaskVector(0, sources, lows, factors)
    b = Count.count > 1 ? TaskVector(1, sources, lows, factors) : a
    c = Count.count > 2 ? TaskVector(2, sources, lows, factors) : a
    d = Count.count > 3 ? TaskVector(3, sources, lows, factors) : a
  }

  /// Zeros beyond `Count`.
  @inline(__always)
  private func load(
    _ i: Int, _ rest: Int, _ base: bsk_f32x16
  ) -> (bsk_f32x16, bsk_f32x16, bsk_f32x16, bsk_f32x16) {
    let zero = bsk_splat(0)
    return (
      a.load(i, rest, base), Count.count > 1 ? b.load(i, rest, base) : zero,
      Count.count > 2 ? c.load(i, rest, base) : zero, Count.count > 3 ? d.load(i, rest, base) : zero
    )
  }

  @inline(__always)
  func sum(_ lambda: Float, _ base: UnsafeRawPointer, _ count: Int, _ out: UnsafeMutablePointer<Float>) {
    apply(lambda, base, count, out) { deltas in
      var sum = bsk_add(bsk_splat(0), deltas.0)
      if Count.count > 1 { sum = bsk_add(sum, deltas.1) }
      if Count.count > 2 { sum = bsk_add(sum, deltas.2) }
      if Count.count > 3 { sum = bsk_add(sum, deltas.3) }
      return sum
    }
  }

  @inline(__always)
  func elect(_ lambda: Float, _ base: UnsafeRawPointer, _ count: Int, _ out: UnsafeMutablePointer<Float>) {
    apply(lambda, base, count, out) { deltas in
      var direction = deltas.0
      if Count.count > 1 { direction = bsk_add(direction, deltas.1) }
      if Count.count > 2 { direction = bsk_add(direction, deltas.2) }
      if Count.count > 3 { direction = bsk_add(direction, deltas.3) }
      var sum = bsk_where_agrees(deltas.0, deltas.0, direction)
      if Count.count > 1 { sum = bsk_add(sum, bsk_where_agrees(deltas.1, deltas.1, direction)) }
      if Count.count > 2 { sum = bsk_add(sum, bsk_where_agrees(deltas.2, deltas.2, direction)) }
      if Count.count > 3 { sum = bsk_add(sum, bsk_where_agrees(deltas.3, deltas.3, direction)) }
      return sum
    }
  }

  @inline(__always)
  private func apply(
    _ lambda: Float, _ base: UnsafeRawPointer, _ count: Int, _ out: UnsafeMutablePointer<Float>,
    _ combine: ((bsk_f32x16, bsk_f32x16, bsk_f32x16, bsk_f32x16)) -> bsk_f32x16
  ) {
    let l = bsk_splat(lambda)
    func merged(_ i: Int, _ rest: Int) -> bsk_f32x16 {
      let place = base + i &* Source.byteCount
      let start = rest == 16 ? Source.load(place) : Source.load(place, rest)
      return bsk_add(start, bsk_multiply(combine(load(i, rest, start)), l))
    }
    var i = 0
    while i &+ 16 <= count {
      bsk_prefetch(base + (i &* Source.byteCount &+ 1024))
      bsk_store_f32(out + i, merged(i, 16))
      i &+= 16
    }
    if i < count { bsk_store_f32_partial(out + i, merged(i, count &- i), count &- i) }
  }
}
