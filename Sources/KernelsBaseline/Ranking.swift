import CIntrinsics

// Dropping by rank. Almost all elements are decided by a rough rank: the row is counted into steps of the same height, an
// element's step says between which ranks it lies, and the word has to fall between two neighbouring limits of many before
// the rank itself is needed. It is then counted in one more pass over the row; rows that need many such passes are sorted.

/// Keeps element i where words[i] < limits[rank of |x[i]| in the row, ascending; equals by their index] (DELLA, arXiv
/// 2406.11617). The limits ascend.
///
/// - Parameter scratch: 2·count numbers. `count` is below 2^32.
func pruneRow(
  _ x: UnsafeMutablePointer<Float>, _ count: Int, _ words: UnsafePointer<UInt32>, _ limits: UnsafePointer<UInt32>,
  _ scratch: UnsafeMutablePointer<UInt64>
) {
  if !pruneBySteps(x, count, words, limits, scratch) { pruneBySorting(x, count, words, limits, scratch) }
}

/// Shorter rows are sorted; from here on all that is stored stays within 16 bytes an element.
private var shortestSteppedRow: Int { @inline(__always) get { 128 } }

/// False, with x as it was, where the row is better sorted.
@inline(__always)
private func pruneBySteps(
  _ x: UnsafeMutablePointer<Float>, _ count: Int, _ words: UnsafePointer<UInt32>, _ limits: UnsafePointer<UInt32>,
  _ scratch: UnsafeMutablePointer<UInt64>
) -> Bool {
  guard count >= shortestSteppedRow else { return false }
  var greatest = bsk_splat(0)
  var i = 0
  while i < count {
    greatest = bsk_greater_bits(greatest, bsk_load_f32_partial(x + i, min(16, count &- i)))
    i &+= 16
  }
  guard bsk_greatest_bits(greatest) > 0 else { return true }
  // A power of two below twice the count.
  var stepCount = 128
  while stepCount < count, stepCount < 4096 { stepCount &*= 2 }
  let scale = Float(stepCount) * 0.999_999 / Float(bitPattern: bsk_greatest_bits(greatest))
  guard scale.isFinite, scale > 0 else { return false }

  // In order: 2 bytes an element, at most 8, 4, 1, and 98 in all for what is rounded up.
  let steps = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: UInt16.self)
  let starts = UnsafeMutableRawPointer(steps + (count &+ 15) & ~15).assumingMemoryBound(to: UInt32.self)
  let unsure = starts + (stepCount &+ 1)
  let open = unsure + (count &+ 16)
  let openLimit = min(256, count / 4)
  countSteps(x, count, scale, stepCount, steps, starts)

  let (lowest, highest) = (limits[0], limits[count &- 1])
  var unsureCount = 0
  i = 0
  while i < count {
    let rest = min(16, count &- i)
    let lanes = wordsBelow(words + i, highest, rest) & ~wordsBelow(words + i, lowest, rest)
    unsureCount &+= bsk_store_lanes(lanes, UInt32(truncatingIfNeeded: i), unsure + unsureCount)
    i &+= 16
  }
  // Of the unsure ones, those that are dropped move to the front, without a branch that nobody could foresee.
  var (dropped, openCount) = (0, 0)
  i = 0
  while i < unsureCount {
    let index = unsure[i]
    let (step, word) = (Int(steps[Int(index)]), words[Int(index)])
    let isDropped = isAtLeast(word, limits[Int(starts[step &+ 1] &- 1)])
    unsure[dropped] = index
    dropped &+= isDropped
    open[openCount] = index
    openCount &+= isAtLeast(word, limits[Int(starts[step])]) &- isDropped
    guard openCount < openLimit else { return false }
    i &+= 1
  }
  i = 0
  while i < openCount {
    let index = Int(open[i])
    if words[index] >= limits[rank(of: index, x, count)] {
      unsure[dropped] = open[i]
      dropped &+= 1
    }
    i &+= 1
  }
  keepWords(x, words, highest, count)
  i = 0
  while i < dropped {
    x[Int(unsure[i])] = 0
    i &+= 1
  }
  return true
}

/// 1 or 0, by arithmetic.
@inline(__always)
private func isAtLeast(_ a: UInt32, _ b: UInt32) -> Int {
  Int(truncatingIfNeeded: ~(UInt64(a) &- UInt64(b)) >> 63)
}

/// steps[i] = |x[i]|·scale without its fraction; starts[s] = how many steps are below s, for s ≤ stepCount.
@inline(__always)
private func countSteps(
  _ x: UnsafePointer<Float>, _ count: Int, _ scale: Float, _ stepCount: Int, _ steps: UnsafeMutablePointer<UInt16>,
  _ starts: UnsafeMutablePointer<UInt32>
) {
  var i = 0
  while i < count {
    let v = bsk_load_f32_partial(x + i, min(16, count &- i))
    bsk_store_steps(v, scale, UInt16(truncatingIfNeeded: stepCount &- 1), steps + i)
    i &+= 16
  }
  i = 0
  while i <= stepCount {
    starts[i] = 0
    i &+= 1
  }
  i = 0
  while i < count {
    starts[Int(steps[i]) &+ 1] &+= 1
    i &+= 1
  }
  i = 0
  var sum: UInt32 = 0
  while i <= stepCount {
    sum &+= starts[i]
    starts[i] = sum
    i &+= 1
  }
}

/// Bit i says whether word i of `count` ≤ 16 is below the limit.
@inline(__always)
func wordsBelow(_ words: UnsafePointer<UInt32>, _ limit: UInt32, _ count: Int) -> UInt16 {
  if count == 16 { return bsk_words_below(words, limit) }
  var below: UInt16 = 0
  var lane = 0
  while lane < count {
    if words[lane] < limit { below |= 1 << UInt16(truncatingIfNeeded: lane) }
    lane &+= 1
  }
  return below
}

/// How many magnitudes are smaller, or equal and before.
@inline(__always)
private func rank(of index: Int, _ x: UnsafePointer<Float>, _ count: Int) -> Int {
  let bits = x[index].bitPattern & 0x7fff_ffff
  var counts = bsk_no_counts()
  var found = 0
  var i = 0
  while i &+ 16 <= index {
    counts = bsk_count_to(counts, bsk_load_f32(x + i), bits)
    i &+= 16
  }
  let end = min(i &+ 16, count)
  while i < end {
    let other = x[i].bitPattern & 0x7fff_ffff
    if other < bits || (other == bits && i < index) { found &+= 1 }
    i &+= 1
  }
  if bits > 0 {
    while i &+ 16 <= count {
      counts = bsk_count_to(counts, bsk_load_f32(x + i), bits &- 1)
      i &+= 16
    }
    while i < count {
      if x[i].bitPattern & 0x7fff_ffff < bits { found &+= 1 }
      i &+= 1
    }
  }
  return found &+ Int(bsk_sum_counts(counts))
}

@inline(__always)
private func pruneBySorting(
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
