import Platform

/// Which pairs of ids merge, into what, and in which order.
struct MergeTable: ~Copyable {
  /// What a pair that doesn't merge has for its rank.
  static let noRank = UInt32.max

  private struct Slot: BitwiseCopyable {
    var pair: UInt64
    var rank: UInt32
    /// Keeps the slot at 16 bytes.
    var unused: UInt32
  }

  /// No pair of ids, as both are below `Vocabulary.idLimit`.
  private static let empty = UInt64.max

  private let slots: Buffer
  private let slotMask: Int
  private let results: Buffer
  private let hash: SeededHash
  private let limit: Int
  private(set) var count = 0

  /// - Parameter limit: how many merges will be appended at most; below 2³¹.
  init(limit: Int, allocator: Allocator) throws(BoneSoupError) {
    let slotCount = tableSize(for: limit)
    let slots = try Buffer(of: Slot.self, count: slotCount, allocator: allocator, purpose: "the merges")
    slots.elements(Slot.self).update(
      repeating: Slot(pair: Self.empty, rank: Self.noRank, unused: 0), count: slotCount)
    results = try Buffer(of: UInt32.self, count: limit, allocator: allocator, purpose: "the merges")
    self.slots = slots
    slotMask = slotCount &- 1
    hash = SeededHash()
    self.limit = limit
  }

  /// The next merge in the order. Where a pair comes twice, its last rank counts, as in `tokenizers`.
  mutating func append(left: UInt32, right: UInt32, result: UInt32) {
    guard count < limit else { return }
    let pair = UInt64(left) << 32 | UInt64(right)
    let slots = slots.elements(Slot.self)
    var index = Int(truncatingIfNeeded: hash(pair)) & slotMask
    while slots[index].pair != Self.empty, slots[index].pair != pair { index = (index &+ 1) & slotMask }
    slots[index] = Slot(pair: pair, rank: UInt32(count), unused: 0)
    results.elements(UInt32.self)[count] = result
    count &+= 1
  }

  /// The rank of the merge of two neighbours, the lowest first; `noRank` where they don't merge.
  @inline(__always)
  func rank(_ left: UInt32, _ right: UInt32) -> UInt32 {
    let pair = UInt64(left) << 32 | UInt64(right)
    let slots = slots.elements(Slot.self)
    var index = Int(truncatingIfNeeded: hash(pair)) & slotMask
    while slots[index].pair != Self.empty {
      if slots[index].pair == pair { return slots[index].rank }
      index = (index &+ 1) & slotMask
    }
    return Self.noRank
  }

  /// The id that the merge of a rank given by `rank` makes.
  @inline(__always)
  func result(ofRank rank: UInt32) -> UInt32 { results.elements(UInt32.self)[Int(rank)] }
}
