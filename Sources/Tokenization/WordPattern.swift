/// The regular expressions by which byte-level tokenizers split text into words, matched by hand.
///
/// Each matches at every position of a text, so a text is cut into words one after another. Linear: no alternative
/// looks at a character more than twice.
struct WordPattern: Sendable, Equatable {
  /// How many digits one word takes.
  let digits: Int
  /// GPT-2's form or the later one (GPT-4, Llama 3, Qwen), which ignores the case of contractions, lets any one
  /// character stand before letters, and keeps line ends apart.
  let isLater: Bool

  static let gpt2 = WordPattern(digits: .max, isLater: false)
  static let llama3 = WordPattern(digits: 3, isLater: true)
  static let qwen2 = WordPattern(digits: 1, isLater: true)

  /// The pattern of a file's expression; nil where it isn't known.
  init?(expression: String) {
    switch expression {
    case #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#:
      self = .gpt2
    case #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
      #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#,
      #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#:
      self = .llama3
    case #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#:
      self = .qwen2
    default:
      return nil
    }
  }

  private init(digits: Int, isLater: Bool) {
    self.digits = digits
    self.isLater = isLater
  }

  /// The end of the word that starts at `start`, which is inside the text.
  @inline(__always)
  func end(in text: UTF8Bytes, from start: Int, classes: CharacterClasses) -> Int {
    isLater ? laterEnd(in: text, from: start, classes) : gpt2End(in: text, from: start, classes)
  }

  private func gpt2End(in text: UTF8Bytes, from start: Int, _ classes: CharacterClasses) -> Int {
    if let end = contraction(in: text, at: start, ignoringCase: false) { return end }
    let first = Character(in: text, at: start, classes)
    guard first.isSpace else { return runEnd(of: first.kind, in: text, from: first.end, classes) }
    if first.value == 0x20, first.end < text.count {
      let second = Character(in: text, at: first.end, classes)
      if !second.isSpace { return runEnd(of: second.kind, in: text, from: second.end, classes) }
    }
    return spacesEnd(in: text, from: start, classes).end
  }

  private func laterEnd(in text: UTF8Bytes, from start: Int, _ classes: CharacterClasses) -> Int {
    if let end = contraction(in: text, at: start, ignoringCase: true) { return end }
    let first = Character(in: text, at: start, classes)
    if first.kind == .letter { return runEnd(of: .letter, in: text, from: first.end, classes) }
    if first.kind == .number { return numberEnd(in: text, from: first.end, classes) }
    if first.end < text.count, first.value != 0x0D, first.value != 0x0A {
      let second = Character(in: text, at: first.end, classes)
      if second.kind == .letter { return runEnd(of: .letter, in: text, from: second.end, classes) }
      if first.value == 0x20, second.kind == [] { return othersEnd(in: text, from: second.end, classes) }
    }
    guard first.isSpace else { return othersEnd(in: text, from: first.end, classes) }
    let spaces = spacesEnd(in: text, from: start, classes)
    return spaces.lineEnd ?? spaces.end
  }

  /// `'s`, `'t`, `'m`, `'d`, `'re`, `'ve` or `'ll`. With case ignored, ſ (U+017F) is an s.
  private func contraction(in text: UTF8Bytes, at start: Int, ignoringCase: Bool) -> Int? {
    guard text[start] == UInt8(ascii: "'"), start &+ 1 < text.count else { return nil }
    let caseBit: UInt8 = ignoringCase ? 0x20 : 0
    let next = text[start &+ 1]
    switch next | (next < 0x80 ? caseBit : 0) {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
      return start &+ 2
    case 0xC5 where ignoringCase && start &+ 2 < text.count && text[start &+ 2] == 0xBF:
      return start &+ 3
    case let letter where start &+ 2 < text.count && text[start &+ 2] < 0x80:
      switch (letter, text[start &+ 2] | caseBit) {
      case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
        (UInt8(ascii: "l"), UInt8(ascii: "l")):
        return start &+ 3
      default: return nil
      }
    default: return nil
    }
  }

  /// After a run of letters, of numbers, or of what is neither nor space.
  @inline(__always)
  private func runEnd(
    of kind: CharacterClasses.Class, in text: UTF8Bytes, from start: Int, _ classes: CharacterClasses
  ) -> Int {
    var position = start
    while position < text.count {
      let character = Character(in: text, at: position, classes)
      guard character.kind == kind else { break }
      position = character.end
    }
    return position
  }

  private func numberEnd(in text: UTF8Bytes, from start: Int, _ classes: CharacterClasses) -> Int {
    var position = start
    var taken = 1
    while position < text.count, taken < digits {
      let character = Character(in: text, at: position, classes)
      guard character.kind == .number else { break }
      position = character.end
      taken &+= 1
    }
    return position
  }

  /// After what is neither letter nor number nor space, and the line ends that follow.
  private func othersEnd(in text: UTF8Bytes, from start: Int, _ classes: CharacterClasses) -> Int {
    var position = runEnd(of: [], in: text, from: start, classes)
    while position < text.count, text[position] == 0x0D || text[position] == 0x0A { position &+= 1 }
    return position
  }

  /// `\s+(?!\S)|\s+`: all spaces, or all but the last where something follows; and the end of the last line end in them.
  private func spacesEnd(
    in text: UTF8Bytes, from start: Int, _ classes: CharacterClasses
  ) -> (end: Int, lineEnd: Int?) {
    var position = start
    var last = start
    var lineEnd: Int?
    while position < text.count {
      let character = Character(in: text, at: position, classes)
      guard character.isSpace else { break }
      last = position
      position = character.end
      if character.value == 0x0D || character.value == 0x0A { lineEnd = position }
    }
    return (position == text.count || last == start ? position : last, lineEnd)
  }

  /// A character with where it ends and what it is.
  private struct Character {
    let value: UInt32
    let end: Int
    let kind: CharacterClasses.Class

    @inline(__always)
    init(in text: UTF8Bytes, at position: Int, _ classes: CharacterClasses) {
      let scalar = UTF8Scalar(in: text, at: position)
      value = scalar.value
      end = position &+ scalar.length
      kind = classes[scalar.value].intersection([.letter, .number, .space])
    }

    var isSpace: Bool { kind == .space }
  }
}
