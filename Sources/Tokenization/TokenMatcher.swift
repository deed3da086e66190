import Platform

/// Finds the leftmost, and of those the longest, of a set of texts in a text.
struct TokenMatcher: ~Copyable {
  struct Match {
    let start: Int
    let end: Int
    /// As given to `append`.
    let token: Int
  }

  private struct Pattern {
    let start: Int
    let count: Int
    let token: Int
  }

  private var bytes: Vector<UInt8>
  /// At most `AddedTokens.limit`; sorted by their bytes, of equal ones the first.
  private var patterns: [Pattern] = []
  /// For each first byte the patterns that start with it.
  private var starts = [Range<Int>](repeating: 0..<0, count: 256)
  /// A text that was added twice, known after `finish`.
  private(set) var firstDuplicate: UTF8Bytes?

  init(allocator: Allocator) throws(BoneSoupError) {
    bytes = try Vector(allocator: allocator, purpose: "the added tokens")
  }

  var isEmpty: Bool { patterns.isEmpty }

  /// Adds a text, where it isn't empty.
  mutating func append(_ pattern: UTF8Bytes, token: Int) throws(BoneSoupError) {
    guard pattern.count > 0 else { return }
    patterns.append(Pattern(start: bytes.count, count: pattern.count, token: token))
    try bytes.append(contentsOf: pattern)
  }

  /// Sorts the texts; `find` works from then on.
  mutating func finish() {
    let all = bytes.span
    func text(_ pattern: Pattern) -> UTF8Bytes {
      UTF8Bytes(rebasing: all[pattern.start..<pattern.start &+ pattern.count])
    }
    patterns.sort {
      if equal(text($0), text($1)) { return $0.token < $1.token }
      return text($0).lexicographicallyPrecedes(text($1))
    }
    for (index, pattern) in patterns.enumerated() {
      if index > 0, equal(text(patterns[index &- 1]), text(pattern)) { firstDuplicate = text(pattern) }
      let first = Int(all[pattern.start])
      starts[first] = (starts[first].isEmpty ? index : starts[first].lowerBound)..<index &+ 1
    }
  }

  /// The first match that starts at or after `start`.
  func find(in text: UTF8Bytes, from start: Int, monitor: Monitor) throws(BoneSoupError) -> Match? {
    guard !patterns.isEmpty else { return nil }
    for position in start..<max(text.count, start) {
      if position & 0x3FF == 0x3FF { try monitor.check() }
      let candidates = starts[Int(text[position])]
      if !candidates.isEmpty, let match = longest(at: position, in: text, candidates) { return match }
    }
    return nil
  }

  /// The text that is exactly `text`.
  func token(equalTo text: UTF8Bytes) -> Int? {
    guard let first = text.first, let match = longest(at: 0, in: text, starts[Int(first)]) else { return nil }
    return match.end == text.count ? match.token : nil
  }

  /// Narrows the sorted texts byte by byte to those that still match.
  private func longest(at position: Int, in text: UTF8Bytes, _ candidates: Range<Int>) -> Match? {
    let all = bytes.elements
    var (low, high) = (candidates.lowerBound, candidates.upperBound)
    var depth = 1
    var match: Match?
    while low < high {
      if patterns[low].count == depth {
        match = Match(start: position, end: position &+ depth, token: patterns[low].token)
        while low < high, patterns[low].count == depth { low &+= 1 }
      }
      guard low < high, position &+ depth < text.count else { break }
      let byte = text[position &+ depth]
      low = partition(low, high) { all[patterns[$0].start &+ depth] < byte }
      high = partition(low, high) { all[patterns[$0].start &+ depth] <= byte }
      depth &+= 1
    }
    return match
  }

  /// The first index from which on `isBefore` is false.
  @inline(__always)
  private func partition(_ low: Int, _ high: Int, _ isBefore: (Int) -> Bool) -> Int {
    var (low, high) = (low, high)
    while low < high {
      let middle = (low &+ high) / 2
      if isBefore(middle) { low = middle &+ 1 } else { high = middle }
    }
    return low
  }
}
