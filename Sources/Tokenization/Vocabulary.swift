import Platform

/// The pieces of a model by id, and their ids by bytes.
///
/// Ids may have holes. Added tokens have pieces here as well, but only the model's own are found by their bytes.
struct Vocabulary: ~Copyable {
  /// One above the highest id that is read.
  static let idLimit = 4 << 20

  private struct Span: BitwiseCopyable {
    var start: UInt32
    var count: UInt32
    static let hole = Span(start: 0, count: .max)
  }

  private struct Slot: BitwiseCopyable {
    var tag: UInt32
    /// The id, or `noId` in an empty slot.
    var id: UInt32
  }

  private static let noId = UInt32.max

  private var bytes: Vector<UInt8>
  private var spans: Vector<Span>
  private let slots: Buffer
  private let slotMask: Int
  private let hash: SeededHash
  /// Pieces found by their bytes; the table has room for the `pieceCount` that it was made for.
  private var hashed = 0
  private let hashedLimit: Int

  /// - Parameter pieceCount: how many pieces will be inserted at most.
  init(pieceCount: Int, allocator: Allocator) throws(BoneSoupError) {
    let bytes = try Vector<UInt8>(capacity: pieceCount &* 8, allocator: allocator, purpose: "the vocabulary")
    let spans = try Vector<Span>(capacity: pieceCount, allocator: allocator, purpose: "the vocabulary")
    let slotCount = tableSize(for: pieceCount)
    slots = try Buffer(of: Slot.self, count: slotCount, allocator: allocator, purpose: "the vocabulary")
    slots.elements(Slot.self).update(repeating: Slot(tag: 0, id: Self.noId), count: slotCount)
    self.bytes = bytes
    self.spans = spans
    slotMask = slotCount &- 1
    hash = SeededHash()
    hashedLimit = pieceCount
  }

  /// The highest id + 1.
  var count: Int { spans.count }

  /// The bytes of a piece, valid as long as the vocabulary; nil for a hole and outside the range.
  @inline(__always)
  subscript(id: Int) -> UnsafeBufferPointer<UInt8>? {
    guard id >= 0, id < spans.count else { return nil }
    let span = spans[id]
    guard span.count != .max else { return nil }
    return UnsafeBufferPointer(start: bytes.elements + Int(span.start), count: Int(span.count))
  }

  /// The id of the model's piece of these bytes.
  func id(of piece: UnsafeBufferPointer<UInt8>) -> UInt32? {
    let hash = hash(piece)
    let slot = slots.elements(Slot.self)[find(piece, hash: hash)]
    return slot.id == Self.noId ? nil : slot.id
  }

  /// The slot that holds the piece, or the empty one where it belongs.
  private func find(_ piece: UnsafeBufferPointer<UInt8>, hash: UInt64) -> Int {
    let slots = slots.elements(Slot.self)
    let tag = UInt32(truncatingIfNeeded: hash)
    var index = Int(truncatingIfNeeded: hash >> 32) & slotMask
    while slots[index].id != Self.noId {
      if slots[index].tag == tag, let other = self[Int(slots[index].id)], equal(other, piece) { break }
      index = (index &+ 1) & slotMask
    }
    return index
  }

  enum Insertion { case done, duplicatePiece, duplicateId }

  /// Adds a piece, where neither its id nor, if it is to be found, its bytes are taken.
  /// - Parameters:
  ///   - id: from 0 to below `idLimit`.
  ///   - isFound: whether the piece is found by its bytes.
  mutating func insert(
    _ piece: UnsafeBufferPointer<UInt8>, id: Int, isFound: Bool
  ) throws(BoneSoupError) -> Insertion {
    if id < spans.count, spans[id].count != .max { return .duplicateId }
    var slot: Int?
    let hash = hash(piece)
    if isFound {
      let index = find(piece, hash: hash)
      guard slots.elements(Slot.self)[index].id == Self.noId, hashed < hashedLimit else { return .duplicatePiece }
      slot = index
    }
    guard bytes.count &+ piece.count < Int(UInt32.max) else { throw .outOfMemory("the vocabulary exceeds 4 GiB") }
    while spans.count <= id { try spans.append(.hole) }
    spans[id] = Span(start: UInt32(bytes.count), count: UInt32(piece.count))
    try bytes.append(contentsOf: piece)
    if let slot {
      slots.elements(Slot.self)[slot] = Slot(tag: UInt32(truncatingIfNeeded: hash), id: UInt32(id))
      hashed &+= 1
    }
    return .done
  }
}

/// Slots of an open-addressing table, a power of two, at most two thirds full.
func tableSize(for count: Int) -> Int {
  var size = 16
  while size < count &+ count / 2 { size &*= 2 }
  return size
}

@inline(__always)
func equal(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
  guard left.count == right.count else { return false }
  for index in 0..<left.count where left[index] != right[index] { return false }
  return true
}
