import JSON
import Platform

extension AddedTokens {
  /// Reads a file's `added_tokens` and gives each that the model doesn't know its piece in `vocabulary`.
  static func read(
    _ value: JSONValue?, _ vocabulary: inout Vocabulary, normalizer: Normalizer, classes: CharacterClasses,
    allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) -> AddedTokens {
    var made = try AddedTokens(allocator: allocator)
    if let value { try made.read(value, &vocabulary, normalizer, classes, allocator, monitor) }
    return made
  }

  private mutating func read(
    _ value: JSONValue, _ vocabulary: inout Vocabulary, _ normalizer: Normalizer, _ classes: CharacterClasses,
    _ allocator: Allocator, _ monitor: Monitor
  ) throws(BoneSoupError) {
    guard value.count <= Self.limit else {
      throw value.unsupported("has \(value.count) tokens; at most \(Self.limit) are supported")
    }
    var text = try Vector<UInt8>(allocator: allocator, purpose: "an added token")
    var pattern = try Vector<UInt8>(allocator: allocator, purpose: "an added token")
    var spare = try Vector<UInt8>(allocator: allocator, purpose: "an added token")
    for element in try value.elements {
      try monitor.check()
      let id = try element.int("id", in: 0...Vocabulary.idLimit - 1)
      let token = Token(
        id: Int32(id), isSingleWord: try element.bool("single_word"), stripsLeft: try element.bool("lstrip"),
        stripsRight: try element.bool("rstrip"), isNormalized: try element.bool("normalized"),
        isSpecial: try element.bool("special"))
      let content = try element.member("content")
      text.removeAll()
      try content.appendText(to: &text)
      guard text.count > 0 else { continue }
      try content.requireLength(text.count)
      try Self.insert(text.span, id: id, vocabulary: &vocabulary, element)
      pattern.removeAll()
      try pattern.append(contentsOf: text.span)
      if token.isNormalized {
        _ = try normalizer.apply(
          to: &pattern, spare: &spare, classes: classes, allocator: allocator, monitor: monitor)
        try content.requireLength(pattern.count)
      }
      try append(token, content: text.span, pattern: pattern.span)
    }
    if let twice = finish() { throw value.malformed("has \"\(excerpt(twice))\" twice") }
  }

  private static func insert(
    _ content: UTF8Bytes, id: Int, vocabulary: inout Vocabulary, _ element: JSONValue
  ) throws(BoneSoupError) {
    if let other = vocabulary.id(of: content) {
      guard other == id else {
        throw element.malformed("gives \"\(excerpt(content))\" the id \(id), and model.vocab the id \(other)")
      }
      return
    }
    if case .done = try vocabulary.insert(content, id: id, isFound: false) { return }
    throw element.malformed(
      "gives \"\(excerpt(content))\" the id \(id), which \"\(vocabulary[id].map { excerpt($0) } ?? "")\" already has")
  }
}

extension JSONValue {
  fileprivate func requireLength(_ count: Int) throws(BoneSoupError) {
    guard count <= AddedTokens.contentLimit else {
      throw unsupported("has \(count) bytes; added tokens have at most \(AddedTokens.contentLimit)")
    }
  }
}
