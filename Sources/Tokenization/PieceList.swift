import Platform

/// A text and how it is cut so far: what the steps of a `PreTokenizer` work on.
struct PieceList: ~Copyable {
  /// A range of the text; never empty.
  struct Piece: BitwiseCopyable {
    var start: UInt32
    var end: UInt32
  }

  private(set) var text: Vector<UInt8>
  private(set) var pieces: Vector<Piece>
  /// Where the next step's results are put together.
  private var newText: Vector<UInt8>
  private var newPieces: Vector<Piece>
  /// Whether the first piece is at the start of the whole text, before any normalisation.
  private var isAtStart = true
  private let classes: CharacterClasses

  init(classes: CharacterClasses, allocator: Allocator) throws(BoneSoupError) {
    let text = try Vector<UInt8>(capacity: 256, allocator: allocator, purpose: "the text to encode")
    let newText = try Vector<UInt8>(capacity: 256, allocator: allocator, purpose: "the text to encode")
    let pieces = try Vector<Piece>(capacity: 64, allocator: allocator, purpose: "the words to encode")
    newPieces = try Vector(capacity: 64, allocator: allocator, purpose: "the words to encode")
    self.text = text
    self.newText = newText
    self.pieces = pieces
    self.classes = classes
  }

  /// The bytes of a piece, valid until the list changes.
  func bytes(of piece: Piece) -> UTF8Bytes {
    UTF8Bytes(start: text.elements + Int(piece.start), count: Int(piece.end &- piece.start))
  }

  /// Cuts `text` by the steps.
  mutating func cut(
    _ text: UTF8Bytes, isAtStart: Bool, by steps: [PreTokenizer.Step], monitor: Monitor
  ) throws(BoneSoupError) {
    self.text.removeAll()
    pieces.removeAll()
    self.isAtStart = isAtStart
    guard text.count > 0 else { return }
    try self.text.append(contentsOf: text)
    try pieces.append(try piece(0, text.count))
    for step in steps {
      newPieces.removeAll()
      switch step {
      case .split(let delimiter, let behavior, let isInverted):
        try split(at: delimiter, behavior, isInverted: isInverted, monitor: monitor)
        swap(&pieces, &newPieces)
        continue
      case .prefix(let prefix, let onlyAtStart): try addPrefix(prefix, onlyAtStart: onlyAtStart, monitor: monitor)
      case .replaceSpaces(let replacement): try replaceSpaces(by: replacement, monitor: monitor)
      case .byteLevel: try mapBytes(monitor: monitor)
      }
      swap(&self.text, &newText)
      swap(&pieces, &newPieces)
    }
  }

  private func piece(_ start: Int, _ end: Int) throws(BoneSoupError) -> Piece {
    guard let start = UInt32(exactly: start), let end = UInt32(exactly: end) else {
      throw .invalidArgument("the text has more than 4 GiB between special tokens; encode it in parts")
    }
    return Piece(start: start, end: end)
  }

  // MARK: Steps that change the text

  private mutating func addPrefix(
    _ prefix: [UInt8], onlyAtStart: Bool, monitor: Monitor
  ) throws(BoneSoupError) {
    newText.removeAll()
    for index in 0..<pieces.count {
      if index & 0xFFF == 0xFFF { try monitor.check() }
      let source = bytes(of: pieces[index])
      let start = newText.count
      if !source.starts(with: prefix), !onlyAtStart || (index == 0 && isAtStart) {
        try newText.append(contentsOf: prefix)
      }
      try newText.append(contentsOf: source)
      try newPieces.append(try piece(start, newText.count))
    }
  }

  private mutating func replaceSpaces(by replacement: [UInt8], monitor: Monitor) throws(BoneSoupError) {
    newText.removeAll()
    for index in 0..<pieces.count {
      if index & 0xFFF == 0xFFF { try monitor.check() }
      let start = newText.count
      try replace([0x20], by: replacement, in: bytes(of: pieces[index]), to: &newText, monitor: monitor)
      try newPieces.append(try piece(start, newText.count))
    }
  }

  private mutating func mapBytes(monitor: Monitor) throws(BoneSoupError) {
    newText.removeAll()
    for index in 0..<pieces.count {
      if index & 0xFFF == 0xFFF { try monitor.check() }
      let source = bytes(of: pieces[index])
      let start = newText.count
      for (offset, byte) in source.enumerated() {
        if offset & 0xFFFF == 0xFFFF { try monitor.check() }
        let character = ByteLevelAlphabet.character(for: byte)
        if character < 0x80 {
          try newText.append(byte)
        } else {
          try newText.append(UInt8(truncatingIfNeeded: character >> 6 | 0xC0))
          try newText.append(UInt8(truncatingIfNeeded: character & 0x3F | 0x80))
        }
      }
      try newPieces.append(try piece(start, newText.count))
    }
  }

  // MARK: Splitting

  private mutating func split(
    at delimiter: PreTokenizer.Delimiter, _ behavior: SplitBehavior, isInverted: Bool, monitor: Monitor
  ) throws(BoneSoupError) {
    var nextCheck = 0
    for index in 0..<pieces.count {
      let source = pieces[index]
      let bytes = bytes(of: source)
      var builder = SplitBuilder(behavior, first: newPieces.count)
      var position = 0
      while position < bytes.count {
        if Int(source.start) &+ position >= nextCheck {
          try monitor.check()
          nextCheck = Int(source.start) &+ position &+ 1 << 16
        }
        let (part, isMatch) = try nextPart(delimiter, in: bytes, from: position, monitor: monitor)
        let range = Piece(start: source.start &+ UInt32(position), end: source.start &+ UInt32(part))
        try builder.add(range, isMatch: isMatch != isInverted, to: &newPieces)
        position = part
      }
      try builder.finish(&newPieces)
    }
    if newPieces.count == 0 || newPieces[0].start > 0 { isAtStart = false }
  }

  /// The end of the match that starts at `start`, or of what lies before the next match.
  @inline(__always)
  private func nextPart(
    _ delimiter: PreTokenizer.Delimiter, in bytes: UTF8Bytes, from start: Int, monitor: Monitor
  ) throws(BoneSoupError) -> (end: Int, isMatch: Bool) {
    switch delimiter {
    case .words(let pattern):
      return (pattern.end(in: bytes, from: start, classes: classes), true)
    case .literal(let literal):
      guard let found = try firstOccurrence(of: literal, in: bytes, from: start, monitor: monitor) else {
        return (bytes.count, false)
      }
      return found == start ? (start &+ literal.count, true) : (found, false)
    case .characters(let wanted):
      let first = UTF8Scalar(in: bytes, at: start)
      if !classes[first.value].isDisjoint(with: wanted) { return (start &+ first.length, true) }
      return (run(in: bytes, from: start) { $0.isDisjoint(with: wanted) }, false)
    case .wordsAndPunctuation:
      let first = classes[UTF8Scalar(in: bytes, at: start).value]
      if first.contains(.word) { return (run(in: bytes, from: start) { $0.contains(.word) }, true) }
      if first.contains(.space) { return (run(in: bytes, from: start) { $0.contains(.space) }, false) }
      return (run(in: bytes, from: start) { $0.isDisjoint(with: [.word, .space]) }, true)
    }
  }

  @inline(__always)
  private func run(in bytes: UTF8Bytes, from start: Int, where belongs: (CharacterClasses.Class) -> Bool) -> Int {
    var position = start
    while position < bytes.count {
      let scalar = UTF8Scalar(in: bytes, at: position)
      guard belongs(classes[scalar.value]) else { break }
      position &+= scalar.length
    }
    return position
  }
}
