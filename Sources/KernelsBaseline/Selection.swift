import CIntrinsics

// Choosing elements of blocks: by magnitude, at random, by rank in a row. What is not kept becomes 0.

/// histogram[upper 16 of the 31 bits of |x[i]|] += 1: 65,536 numbers.
func magnitudeHistogram(_ x: UnsafePointer<Float>, _ count: Int, _ histogram: UnsafeMutablePointer<UInt32>) {
  var i = 0
  while i < count {
    histogram[Int((x[i].bitPattern & 0x7fff_ffff) >> 15)] &+= 1
    i &+= 1
  }
}

/// histogram[lower 15 bits of |x[i]|] += 1 for the elements whose upper 16 bits are `prefix`: 32,768 numbers.
func magnitudeHistogramLow(
  _ x: UnsafePointer<Float>, _ count: Int, _ prefix: UInt32, _ histogram: UnsafeMutablePointer<UInt32>
) {
  var i = 0
  while i < count {
    let end = min(i &+ 16, count)
    if end &- i < 16 || bsk_count_prefix(bsk_load_f32(x + i), 15, prefix) > 0 {
      while i < end {
        let bits = x[i].bitPattern & 0x7fff_ffff
        if bits >> 15 == prefix { histogram[Int(bits & 0x7fff)] &+= 1 }
        i &+= 1
      }
    }
    i = end
  }
}

/// How many elements have a magnitude of these bits.
func magnitudeCount(_ x: UnsafePointer<Float>, _ count: Int, _ bits: UInt32) -> Int {
  var found = 0
  var i = 0
  while i &+ 16 <= count {
    found &+= bsk_count_prefix(bsk_load_f32(x + i), 0, bits)
    i &+= 16
  }
  while i < count {
    if x[i].bitPattern & 0x7fff_ffff == bits { found &+= 1 }
    i &+= 1
  }
  return found
}

/// Keeps the elements with low ≤ bits of the magnitude ≤ high.
func keepMagnitudes(_ x: UnsafeMutablePointer<Float>, _ count: Int, _ low: UInt32, _ high: UInt32) {
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    bsk_store_f32_partial(x + i, bsk_where_within(bsk_load_f32_partial(x + i, rest), low, high), rest)
    i &+= 16
  }
}

/// out[4·b + j] = word j of Philox at the counter (first + b, c1, c2, c3), for `count` words, a multiple of 64.
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

/// Keeps the elements where `chosen` is not 0.
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
func packChosen(_ chosen: UnsafePointer<Float>, _ count: Int, _ bits: UnsafeMutablePointer<UInt16>) {
  var i = 0
  while i < count {
    bits[i >> 4] = bsk_not_zero_bits(bsk_load_f32_partial(chosen + i, min(16, count &- i)))
    i &+= 16
  }
}

/// Keeps the elements whose bit is set.
func keepPacked(_ x: UnsafeMutablePointer<Float>, _ bits: UnsafePointer<UInt16>, _ count: Int) {
  var i = 0
  while i < count {
    let rest = min(16, count &- i)
    bsk_store_f32_partial(x + i, bsk_where_bits(bsk_load_f32_partial(x + i, rest), bits[i >> 4]), rest)
    i &+= 16
  }
}

/// Keeps element i where words[i] < limits[rank of |x[i]| in the row, ascending; equals by their index] (DELLA, arXiv
/// 2406.11617).
///
/// - Parameter scratch: 2·count numbers. `count` is below 2^32.
func pruneRow(
  _ x: UnsafeMutablePointer<Float>, _ count: Int, _ words: UnsafePointer<UInt32>, _ limits: UnsafePointer<UInt32>,
  _ scratch: UnsafeMutablePointer<UInt64>
) {
  fillRecords(x, count, scratch)
  sortRecords(scratch, count, from: 47, digits: 2)
  if !insertNear(scratch, count) {
    fillRecords(x, count, scratch)
    sortRecords(scratch, count, from: 32, digits: 4)
  }
  var i = 0
  while i < count {
    let index = Int(truncatingIfNeeded: scratch[i] & 0xffff_ffff)
    if words[index] >= limits[i] { x[index] = 0 }
    i &+= 1
  }
}

/// The magnitude's bits above the index.
@inline(__always)
private func fillRecords(_ x: UnsafePointer<Float>, _ count: Int, _ records: UnsafeMutablePointer<UInt64>) {
  var i = 0
  while i < count {
    records[i] = UInt64(x[i].bitPattern & 0x7fff_ffff) << 32 | UInt64(truncatingIfNeeded: i)
    i &+= 1
  }
}

/// Radix sort by an even number of bytes, the first at bit `first`, the least significant first; equals stay in order. The
/// memory after the records is used too.
@inline(__always)
private func sortRecords(
  _ records: UnsafeMutablePointer<UInt64>, _ count: Int, from first: UInt64, digits: Int
) {
  withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 1024) { counts in
    guard let histogram = counts.baseAddress else { return }
    var i = 0
    while i < 256 &* digits {
      histogram[i] = 0
      i &+= 1
    }
    i = 0
    while i < count {
      var bits = records[i] >> first
      var digit = 0
      while digit < digits {
        histogram[256 &* digit &+ Int(truncatingIfNeeded: bits & 0xff)] &+= 1
        bits >>= 8
        digit &+= 1
      }
      i &+= 1
    }
    var (source, target) = (records, records + count)
    var digit = 0
    while digit < digits {
      let places = histogram + digit &* 256
      var sum: UInt32 = 0
      var value = 0
      while value < 256 {
        let next = sum &+ places[value]
        places[value] = sum
        sum = next
        value &+= 1
      }
      let shift = first &+ 8 &* UInt64(truncatingIfNeeded: digit)
      i = 0
      while i < count {
        let record = source[i]
        let key = Int(truncatingIfNeeded: record >> shift & 0xff)
        target[Int(places[key])] = record
        places[key] &+= 1
        i &+= 1
      }
      (source, target) = (target, source)
      digit &+= 1
    }
  }
}

/// Finishes a sort by the upper 16 bits: few records share them, as a rule. False where some record has far to go.
@inline(__always)
private func insertNear(_ records: UnsafeMutablePointer<UInt64>, _ count: Int) -> Bool {
  var i = 1
  while i < count {
    let record = records[i]
    var place = i
    while place > 0, records[place &- 1] > record {
      records[place] = records[place &- 1]
      place &-= 1
    }
    records[place] = record
    if i &- place > 64 { return false }
    i &+= 1
  }
  return true
}
