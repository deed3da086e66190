import Platform

/// The logits that a session keeps: of consecutive positions up to the last computed one.
struct KeptLogits {
  let vocabulary: Int
  private let allocator: Allocator
  private var buffer: Buffer?
  private var capacity = 0
  private var first = 0
  /// Positions from `first` on whose logits are wanted, and of these how many are there.
  private var wanted = 0
  private var count = 0

  init(vocabulary: Int, allocator: Allocator) {
    self.vocabulary = vocabulary
    self.allocator = allocator
  }

  /// Bytes held, wanted or not.
  var byteCount: Int { buffer?.byteCount ?? 0 }

  mutating func removeAll() {
    wanted = 0
    count = 0
  }

  /// Makes room for the logits of `wanted` positions from `position` on, which are not there yet.
  mutating func prepare(from position: Int, count positions: Int) throws(BoneSoupError) {
    removeAll()
    if buffer == nil || capacity != positions {
      buffer = nil
      capacity = 0
      buffer = try Buffer(
        of: Float.self, count: positions * vocabulary, allocator: allocator,
        purpose: "the logits of \(positions) positions")
      capacity = positions
    }
    first = position
    wanted = positions
  }

  /// Where the logits after a position go; nil for one that was not prepared for.
  func destination(after position: Int) -> UnsafeMutablePointer<Float>? {
    guard let buffer, position >= first, position < first + wanted else { return nil }
    return buffer.elements(Float.self) + (position - first) * vocabulary
  }

  /// Says that all prepared positions below `end` are there now.
  mutating func fill(to end: Int) { count = max(0, min(wanted, end - first)) }

  func logits(after position: Int) -> UnsafeBufferPointer<Float>? {
    guard let buffer, position >= first, position < first + count else { return nil }
    return UnsafeBufferPointer(
      start: buffer.elements(Float.self) + (position - first) * vocabulary, count: vocabulary)
  }

  /// The last position's alone.
  func copyOfLast() throws(BoneSoupError) -> KeptLogits {
    var copy = KeptLogits(vocabulary: vocabulary, allocator: allocator)
    let last = first + count - 1
    guard count > 0, let source = logits(after: last)?.baseAddress else { return copy }
    try copy.prepare(from: last, count: 1)
    copy.destination(after: last)?.update(from: source, count: vocabulary)
    copy.fill(to: last + 1)
    return copy
  }
}
