import Platform

/// Walks a text and its added tokens from left to right.
struct AddedTokenScanner {
  /// A part without added tokens (`token` nil; never empty), or an added token with the spaces that it takes.
  struct Part {
    let range: Range<Int>
    let token: Int32?
  }

  private let text: UTF8Bytes
  private let parsesSpecial: Bool
  private let classes: CharacterClasses
  /// Where the next match is looked for, and the end of what was given out.
  private var searchStart = 0
  private var end = 0
  private var held: Part?
  /// Spaces seen last after a token, so that tokens among many spaces don't each look at all of them.
  private var spaces = 0..<0

  /// - Parameter parsesSpecial: false passes over special tokens as if they were text. They still hide what overlaps
  ///   them, as with `encode_special_tokens` in `tokenizers`.
  init(_ text: UTF8Bytes, parsesSpecial: Bool, classes: CharacterClasses) {
    self.text = text
    self.parsesSpecial = parsesSpecial
    self.classes = classes
  }

  mutating func next(
    _ matcher: borrowing TokenMatcher, _ tokens: [AddedTokens.Token], monitor: Monitor
  ) throws(BoneSoupError) -> Part? {
    if let part = held {
      held = nil
      return part
    }
    while let match = try matcher.find(in: text, from: searchStart, monitor: monitor) {
      searchStart = match.end
      let token = tokens[match.token]
      if token.isSpecial, !parsesSpecial { continue }
      if token.isSingleWord, touchesWord(match) { continue }
      var start = match.start
      var stop = match.end
      if token.stripsLeft { start = startOfSpaces(in: text, before: start, notBefore: end, classes: classes) }
      if token.stripsRight { stop = endOfSpaces(from: stop) }
      let before = end
      end = stop
      let part = Part(range: min(start, stop)..<stop, token: token.id)
      guard before < start else { return part }
      held = part
      return Part(range: before..<start, token: nil)
    }
    guard end < text.count else { return nil }
    defer { end = text.count }
    return Part(range: end..<text.count, token: nil)
  }

  private func touchesWord(_ match: TokenMatcher.Match) -> Bool {
    (match.start > 0 && classes[UTF8Scalar(in: text, endingAt: match.start).value].contains(.word))
      || (match.end < text.count && classes[UTF8Scalar(in: text, at: match.end).value].contains(.word))
  }

  private mutating func endOfSpaces(from start: Int) -> Int {
    if !spaces.contains(start) { spaces = start..<Tokenization.endOfSpaces(in: text, from: start, classes: classes) }
    return spaces.upperBound
  }
}
