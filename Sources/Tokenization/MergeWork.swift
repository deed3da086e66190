import Platform

/// The memory in which the symbols of one text are merged.
struct MergeWork: ~Copyable {
  /// Up to this many symbols, looking at all of them for the lowest rank is faster than keeping them in order.
  static let shortLimit = 24

  var symbols: Vector<Symbol>
  /// The merges to come, a binary heap with the lowest first: the rank above, the index of the left symbol below.
  private var heap: Vector<UInt64>

  init(allocator: Allocator) throws(BoneSoupError) {
    let symbols = try Vector<Symbol>(capacity: 64, allocator: allocator, purpose: "the symbols to merge")
    heap = try Vector(capacity: 64, allocator: allocator, purpose: "the symbols to merge")
    self.symbols = symbols
  }

  /// Merges up to `shortLimit` symbols; those that are left stand first.
  mutating func mergeShort(_ merges: borrowing MergeTable) {
    var count = symbols.count
    guard count > 1 else { return }
    let symbols = symbols.elements
    for index in 0..<count &- 1 { symbols[index].rank = merges.rank(symbols[index].id, symbols[index &+ 1].id) }
    while true {
      var best = 0
      for index in 1..<count where symbols[index].rank < symbols[best].rank { best = index }
      let rank = symbols[best].rank
      guard rank != MergeTable.noRank else { break }
      symbols[best].id = merges.result(ofRank: rank)
      let merged = symbols + (best &+ 1)
      merged.update(from: merged + 1, count: count &- best &- 2)
      count &-= 1
      symbols[best].rank =
        best &+ 1 < count ? merges.rank(symbols[best].id, symbols[best &+ 1].id) : MergeTable.noRank
      if best > 0 { symbols[best &- 1].rank = merges.rank(symbols[best &- 1].id, symbols[best].id) }
    }
    self.symbols.truncate(to: count)
  }

  /// Merges any number of symbols, in n log n; those that were merged into their left neighbour are left in place.
  mutating func mergeLong(_ merges: borrowing MergeTable, monitor: Monitor) throws(BoneSoupError) {
    let count = symbols.count
    guard count < Int(Int32.max) else {
      throw .invalidArgument("a word of the text has \(count) characters; encode it in parts")
    }
    let symbols = symbols.elements
    heap.removeAll()
    for index in 0..<count {
      if index & 0xFFFF == 0xFFFF { try monitor.check() }
      symbols[index].previous = Int32(index) &- 1
      symbols[index].next = index &+ 1 < count ? Int32(index &+ 1) : -1
      if index &+ 1 < count {
        symbols[index].rank = merges.rank(symbols[index].id, symbols[index &+ 1].id)
        if symbols[index].rank != MergeTable.noRank {
          try heap.append(UInt64(symbols[index].rank) << 32 | UInt64(index))
        }
      }
    }
    try makeHeap(monitor: monitor)
    var steps = 0
    while let least = popLeast() {
      steps &+= 1
      if steps & 0xFFF == 0 { try monitor.check() }
      let index = Int(least & 0xFFFF_FFFF)
      let rank = UInt32(least >> 32)
      guard symbols[index].rank == rank else { continue }
      let right = Int(symbols[index].next)
      let next = symbols[right].next
      symbols[index].id = merges.result(ofRank: rank)
      symbols[index].next = next
      symbols[right].next = Symbol.merged
      symbols[right].rank = MergeTable.noRank
      symbols[index].rank = MergeTable.noRank
      if next >= 0 {
        symbols[Int(next)].previous = Int32(index)
        try rankAgain(index, merges)
      }
      if symbols[index].previous >= 0 { try rankAgain(Int(symbols[index].previous), merges) }
    }
  }

  /// Looks up the merge of the symbol at `index`, which is not the last, with its next, and puts it on the heap.
  @inline(__always)
  private mutating func rankAgain(_ index: Int, _ merges: borrowing MergeTable) throws(BoneSoupError) {
    let symbols = symbols.elements
    let rank = merges.rank(symbols[index].id, symbols[Int(symbols[index].next)].id)
    symbols[index].rank = rank
    if rank != MergeTable.noRank { try push(UInt64(rank) << 32 | UInt64(index)) }
  }

  // MARK: Heap

  private mutating func makeHeap(monitor: Monitor) throws(BoneSoupError) {
    for index in stride(from: heap.count / 2 &- 1, through: 0, by: -1) {
      if index & 0xFFFF == 0xFFFF { try monitor.check() }
      sink(heap[index], from: index)
    }
  }

  private mutating func push(_ value: UInt64) throws(BoneSoupError) {
    try heap.append(value)
    var index = heap.count &- 1
    while index > 0, heap[(index &- 1) / 2] > value {
      heap[index] = heap[(index &- 1) / 2]
      index = (index &- 1) / 2
    }
    heap[index] = value
  }

  private mutating func popLeast() -> UInt64? {
    guard heap.count > 0 else { return nil }
    let least = heap[0]
    let last = heap[heap.count &- 1]
    heap.truncate(to: heap.count &- 1)
    if heap.count > 0 { sink(last, from: 0) }
    return least
  }

  /// Puts `value` at `start` or below, where its children are not smaller.
  @inline(__always)
  private func sink(_ value: UInt64, from start: Int) {
    let count = heap.count
    let heap = heap.elements
    var index = start
    while true {
      var child = 2 &* index &+ 1
      guard child < count else { break }
      if child &+ 1 < count, heap[child &+ 1] < heap[child] { child &+= 1 }
      guard heap[child] < value else { break }
      heap[index] = heap[child]
      index = child
    }
    heap[index] = value
  }
}
