import Platform

/// What each id contributes to a decoded text, worked out once.
struct DecodedPieces: ~Copyable {
  struct Piece {
    let bytes: UTF8Bytes
    /// Whether it is a byte of `Decoder.Form.byteFallback`.
    let isByte: Bool
    let isSpecial: Bool
  }

  private struct Entry: BitwiseCopyable {
    var start: Int
    var count: UInt32
    var isKnown: Bool
    var isByte: Bool
    var isSpecial: Bool
  }

  private var bytes: Vector<UInt8>
  private let entries: Buffer
  private let count: Int

  init(
    _ vocabulary: borrowing Vocabulary, _ decoder: Decoder, special: [AddedTokens.Token], allocator: Allocator,
    monitor: Monitor
  ) throws(BoneSoupError) {
    let count = vocabulary.count
    var bytes = try Vector<UInt8>(capacity: count &* 8, allocator: allocator, purpose: "the decoded vocabulary")
    let buffer = try Buffer(of: Entry.self, count: count, allocator: allocator, purpose: "the decoded vocabulary")
    let entries = buffer.elements(Entry.self)
    var work = try Decoder.Work(allocator: allocator)
    for id in 0..<count {
      if id & 0xFFF == 0 { try monitor.report(Double(id) / Double(count)) }
      let start = bytes.count
      var entry = Entry(start: start, count: 0, isKnown: false, isByte: false, isSpecial: false)
      if let piece = vocabulary[id] {
        entry.isKnown = true
        entry.isByte = try decoder.append(piece, isFirst: false, to: &bytes, &work)
        guard let length = UInt32(exactly: bytes.count &- start) else {
          throw .outOfMemory("a decoded piece exceeds 4 GiB")
        }
        entry.count = length
      }
      entries[id] = entry
    }
    for token in special where token.isSpecial { entries[Int(token.id)].isSpecial = true }
    self.bytes = bytes
    self.entries = buffer
    self.count = count
  }

  /// Nil for ids without a piece.
  @inline(__always)
  subscript(id: Int32) -> Piece? {
    guard id >= 0, id < count else { return nil }
    let entry = entries.elements(Entry.self)[Int(id)]
    guard entry.isKnown else { return nil }
    return Piece(
      bytes: UTF8Bytes(start: bytes.elements + entry.start, count: Int(entry.count)), isByte: entry.isByte,
      isSpecial: entry.isSpecial)
  }
}
