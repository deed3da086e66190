/// Tokens ranked by a number each: a greater key is a greater number or, among equals, a lower token. No two are equal.
struct Candidate: BitwiseCopyable {
  let key: UInt64

  /// - Parameter value: not NaN.
  @inline(__always) init(value: Float, token: Int) {
    // + 0 makes one zero of the two.
    let bits = (value + 0).bitPattern
    let ordered = bits ^ (bits >> 31 == 0 ? 1 << 31 : .max)
    key = UInt64(ordered) << 32 | UInt64(~UInt32(truncatingIfNeeded: token))
  }

  @inline(__always) var token: Int { Int(~UInt32(truncatingIfNeeded: key)) }

  @inline(__always) var value: Float {
    let ordered = UInt32(truncatingIfNeeded: key >> 32)
    return Float(bitPattern: ordered ^ (ordered >> 31 == 1 ? 1 << 31 : .max))
  }

  @inline(__always) static func < (a: Candidate, b: Candidate) -> Bool { a.key < b.key }
}

/// The best of many, over memory that somebody else owns.
enum Candidates {
  /// Puts the `limit` best of values[0..<count] that are above −∞ into `heap`, the worst of them first and the rest in no
  /// order, and returns how many there are. O(count · log limit), and near O(count) where `limit` is small.
  ///
  /// - Parameters:
  ///   - limit: at least 1; `heap` has room for so many.
  ///   - values: not NaN.
  static func best(
    _ limit: Int, of values: UnsafePointer<Float>, count: Int, into heap: UnsafeMutablePointer<Candidate>
  ) -> Int {
    var filled = 0
    var token = 0
    while token < count, filled < limit {
      if values[token] > -.infinity {
        heap[filled] = Candidate(value: values[token], token: token)
        filled &+= 1
      }
      token &+= 1
    }
    var parent = filled / 2
    while parent > 0 {
      parent &-= 1
      siftDown(heap, parent, filled)
    }
    guard filled == limit else { return filled }
    var least = heap[0].value
    while token < count {
      // A later token with the same value ranks lower.
      if values[token] > least {
        heap[0] = Candidate(value: values[token], token: token)
        siftDown(heap, 0, filled)
        least = heap[0].value
      }
      token &+= 1
    }
    return filled
  }

  private static func siftDown(_ heap: UnsafeMutablePointer<Candidate>, _ start: Int, _ count: Int) {
    let sinking = heap[start]
    var hole = start
    while true {
      var child = 2 &* hole &+ 1
      guard child < count else { break }
      if child &+ 1 < count, heap[child &+ 1] < heap[child] { child &+= 1 }
      guard heap[child] < sinking else { break }
      heap[hole] = heap[child]
      hole = child
    }
    heap[hole] = sinking
  }

  /// The worst of the best candidates[0..<count] whose values are needed for their sum to reach `target`; the worst of
  /// all where it never does. Reorders them. O(count) on average (quickselect, by sum in place of rank).
  ///
  /// - Parameter count: at least 1.
  static func reaching(
    _ target: Double, _ candidates: UnsafeMutablePointer<Candidate>, count: Int
  ) -> Candidate {
    var low = 0
    var high = count
    // The sum of candidates[0..<low], which are better than all others.
    var reached = 0.0
    var last = candidates[0]
    var random = UInt64(truncatingIfNeeded: count)
    while low < high {
      // Knuth's MMIX generator: no order of the input is slow by design.
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let pivotIndex = low &+ Int(truncatingIfNeeded: (random >> 33) % UInt64(truncatingIfNeeded: high &- low))
      let pivot = candidates[pivotIndex]
      candidates[pivotIndex] = candidates[high &- 1]
      candidates[high &- 1] = pivot
      var middle = low
      var sum = reached
      // Without a branch: which way an element goes can't be predicted.
      for index in low..<high &- 1 {
        let candidate = candidates[index]
        let isBetter = pivot < candidate
        candidates[index] = candidates[middle]
        candidates[middle] = candidate
        sum += isBetter ? Double(candidate.value) : 0
        middle &+= isBetter ? 1 : 0
      }
      if sum >= target, middle > low {
        high = middle
        continue
      }
      candidates[high &- 1] = candidates[middle]
      candidates[middle] = pivot
      last = pivot
      reached = sum + Double(pivot.value)
      if reached >= target { break }
      low = middle &+ 1
    }
    return last
  }
}
