import CIntrinsics

// Choosing elements of blocks: by magnitude and at random. What is not kept becomes 0.
//
// None may be inlined into the thunk by which C calls it: intrinsics are real calls there.

/// histogram[(bits of |x[i]| − low) >> shift] += 1 for what falls into the `bins` bins; returns how many magnitudes lie above
/// them. low + (bins << shift) ≤ 2^31.
@inline(never)
func magnitudeHistogram(
  _ x: UnsafePointer<Float>, _ count: Int, _ low: UInt32, _ shift: UInt32, _ bins: UInt32,
  _ histogram: UnsafeMutablePointer<UInt32>
) -> Int {
  let high = low &+ bins << shift
  var above = 0
  // What most elements within have in common, as differences of models in bf16 do, is counted 16 at a time.
  var (common, commonCount, commonFound) = (UInt32.max, UInt32(0), UInt32(0))
  var i = 0
  while i &+ 16 <= count {
    let v = bsk_load_f32(x + i)
    let beyond = bsk_lanes_from(v, high)
    above &+= beyond.nonzeroBitCount
    var within = bsk_lanes_from(v, low) & ~beyond
    if within != 0 {
      let same = bsk_lanes_equal(v, common)
      commonFound &+= UInt32(truncatingIfNeeded: same.nonzeroBitCount)
      within &= ~same
    }
    while within != 0 {
      let bits = x[i &+ within.trailingZeroBitCount].bitPattern & 0x7fff_ffff
      let bin = Int(truncatingIfNeeded: (bits &- low) >> shift)
      histogram[bin] &+= 1
      if shift == 0, histogram[bin] > commonCount &+ commonFound {
        if commonFound > 0 { histogram[Int(truncatingIfNeeded: common &- low)] &+= commonFound }
        (common, commonCount, commonFound) = (bits, histogram[bin], 0)
      }
      within &= within &- 1
    }
    i &+= 16
  }
  if commonFound > 0 { histogram[Int(truncatingIfNeeded: common &- low)] &+= commonFound }
  while i < count {
    let bits = x[i].bitPattern & 0x7fff_ffff
    if bits >= high {
      above &+= 1
    } else if bits >= low {
      histogram[Int(truncatingIfNeeded: (bits &- low) >> shift)] &+= 1
    }
    i &+= 1
  }
  return above
}

/// How many elements have a magnitude of these bits.
@inline(never)
func magnitudeCount(_ x: UnsafePointer<Float>, _ count: Int, _ bits: UInt32) -> Int {
  var found = 0
  var i = 0
  while i &+ 16 <= count {
    found &+= bsk_lanes_equal(bsk_load_f32(x + i), bits).nonzeroBitCount
    i &+= 16
  }
  while i < count {
    if x[i].bitPattern & 0x7fff_ffff == bits { found &+= 1 }
    i &+= 1
  }
  return found
}

/// Keeps the elements with low ≤ bits of the magnitude ≤ high.
@inline(never)
func keepMagnitudes(_ x: UnsafeMutablePointer<Float>, _ count: Int, _ low: UInt32, _ high: UInt32) {
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    bsk_store_f32_partial(x + i, bsk_where_within(bsk_load_f32_partial(x + i, rest), low, high), rest)
    i &+= 16
  }
}

/// out[4·b + j] = word j of Philox at the counter (first + b, c1, c2, c3), for `count` words, a multiple of 64.
@inline(never)
func randomWords(
  _ seed: UInt64, _ first: UInt32, _ c1: UInt32, _ c2: UInt32, _ c3: UInt32, _ count: Int,
  _ out: UnsafeMutablePointer<UInt32>
) {
  let (low, high) = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
  var (i, block) = (0, first)
  while i < count {
    bsk_philox(block, c1, c2, c3, low, high, out + i)
    block &+= 16
    i &+= 64
  }
}

/// Keeps the elements whose word is below the limit.
@inline(never)
func keepWords(_ x: UnsafeMutablePointer<Float>, _ words: UnsafePointer<UInt32>, _ limit: UInt32, _ count: Int) {
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f32(x + i, bsk_where_below(bsk_load_f32(x + i), words + i, limit))
    i &+= 16
  }
  while i < count {
    if words[i] >= limit { x[i] = 0 }
    i &+= 1
  }
}

/// Bit i % 16 of bits[i / 16] says whether words[i] is below the limit; returns Σ|x[i]| of these, in the order of
/// `magnitudeSum`.
@inline(never)
func draw(
  _ x: UnsafePointer<Float>, _ words: UnsafePointer<UInt32>, _ limit: UInt32, _ count: Int,
  _ bits: UnsafeMutablePointer<UInt16>
) -> Double {
  var sum = bsk_zero_f64()
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    let below = wordsBelow(words + i, limit, rest)
    bits[i >> 4] = below
    let size = bsk_magnitude(bsk_load_f32_partial(x + i, rest))
    sum = bsk_accumulate_f64(sum, bsk_where_bits(size, below))
    i &+= 16
  }
  return bsk_sum_f64(sum)
}

/// Keeps the elements where `chosen` is not 0.
@inline(never)
func keepChosen(_ x: UnsafeMutablePointer<Float>, _ chosen: UnsafePointer<Float>, _ count: Int) {
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    let kept = bsk_where_not_zero(bsk_load_f32_partial(x + i, rest), bsk_load_f32_partial(chosen + i, rest))
    bsk_store_f32_partial(x + i, kept, rest)
    i &+= 16
  }
}

/// Bit i % 16 of bits[i / 16] says whether chosen[i] is not 0.
@inline(never)
func packChosen(_ chosen: UnsafePointer<Float>, _ count: Int, _ bits: UnsafeMutablePointer<UInt16>) {
  var i = 0
  while i < count {
    bits[i >> 4] = bsk_not_zero_bits(bsk_load_f32_partial(chosen + i, min(16, count &- i)))
    i &+= 16
  }
}

/// Keeps the elements whose bit is set.
@inline(never)
func keepPacked(_ x: UnsafeMutablePointer<Float>, _ bits: UnsafePointer<UInt16>, _ count: Int) {
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    bsk_store_f32_partial(x + i, bsk_where_bits(bsk_load_f32_partial(x + i, rest), bits[i >> 4]), rest)
    i &+= 16
  }
}
