import Platform

/// The logits that a session keeps: of consecutive positions up to the last computed one.
struct KeptLogits {
  let vocabulary: Int
  private let allocator: Allocator
  private var buffer: Buffer?
  private var capacity = 0
  private var first = 0
  private var count = 0

  init(vocabulary: Int, allocator: Allocator) {
    self.vocabulary = vocabulary
    self.allocator = allocator
  }

  mutating func removeAll() { count = 0 }

  /// Makes room for the logits of `wanted` positions from `position` on, which are not there yet.
  mutating func prepare(from position: Int, count wanted: Int) throws(BoneSoupError) {
    count = 0
    first = position
    guard buffer == nil || capacity != wanted else { return }
    buffer = nil
    capacity = 0
    buffer = try Buffer(
      of: Float.self, count: wanted * vocabulary, allocator: allocator, purpose: "the logits of \(wanted) positions")
    capacity = wanted
  }

  /// Where the logits after a position go; nil for one that was not prepared for.
  func destination(after position: Int) -> UnsafeMutablePointer<Float>? {
    guard let buffer, position >= first, position < first + capacity else { return nil }
    return buffer.elements(Float.self) + (position - first) * vocabulary
  }

  /// Says that all prepared positions below `end` are there now.
  mutating func fill(to end: Int) { count = max(0, min(capacity, end - first)) }

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
