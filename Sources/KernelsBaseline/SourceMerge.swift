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
  var (above, equal) = (bsk_no_counts(), bsk_no_counts())
  // What falls into the histogram is sought in four vectors at once: whether one has any is not to be foreseen.
  withUnsafeTemporaryAllocation(byteCount: 256, alignment: 64) { aside in
    guard let start = aside.baseAddress else { return }
    let aside = start.assumingMemoryBound(to: UInt32.self)
    /// Counts the `present` of 16 lanes, and returns which of them belong into the histogram.
    func sort(_ delta: bsk_f32x16, _ first: Int, _ present: UInt16 = .max) -> UInt64 {
      let beyond = bsk_lanes_from(delta, high) & present
      let within = bsk_lanes_from(delta, low) & present & ~beyond
      let same = bsk_lanes_equal(delta, known) & within
      above = bsk_count_lanes(above, beyond)
      equal = bsk_count_lanes(equal, same)
      bsk_store_f32(aside + first, delta)
      return UInt64(within & ~same)
    }
    func sort(_ i: Int) -> UInt64 {
      let place = i &* Source.byteCount
      // Far ahead: little is done with each line.
      bsk_prefetch(source + place + 4096)
      bsk_prefetch(base + place + 4096)
      return sort(bsk_subtract(Source.load(source + place), Source.load(base + place)), i & 63)
    }
    func enter(_ lanes: UInt64, _ first: Int) {
      var lanes = lanes
      while lanes != 0 {
        let bits = aside[first &+ lanes.trailingZeroBitCount] & 0x7fff_ffff
        histogram[Int(truncatingIfNeeded: (bits &- low) >> shift)] &+= 1
        lanes &= lanes &- 1
      }
    }
    var i = 0
    while i &+ 64 <= count {
      enter(sort(i) | sort(i &+ 16) << 16 | sort(i &+ 32) << 32 | sort(i &+ 48) << 48, 0)
      i &+= 64
    }
    while i &+ 16 <= count {
      enter(sort(i), i & 63)
      i &+= 16
    }
    let (rest, place) = (count &- i, i &* Source.byteCount)
    let delta = bsk_subtract(Source.load(source + place, rest), Source.load(base + place, rest))
    enter(sort(delta, 0, UInt16(truncatingIfNeeded: 1 << rest &- 1)), 0)
  }
  counts[0] &+= Int(bsk_sum_counts(above))
  counts[1] &+= Int(bsk_sum_counts(equal))
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
    var i = 0
    while i < count {
      let rest = min(16, count &- i)
      let place = base + i &* Source.byteCount
      bsk_prefetch(place + 1024)
      let start = rest == 16 ? Source.load(place) : Source.load(place, rest)
      let sum = combine(load(i, rest, start))
      bsk_store_f32_partial(out + i, bsk_add(start, bsk_multiply(sum, l)), rest)
      i &+= 16
    }
  }
}
