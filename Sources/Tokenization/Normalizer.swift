import Platform

/// What happens to the text before it is split: a chain of steps as in the file's `normalizer`.
struct Normalizer: Sendable {
  enum Step: Sendable, Equatable {
    case composed
    case decomposed
    /// In front of a text that isn't empty.
    case prepend([UInt8])
    /// Each occurrence of `pattern`, which isn't empty, from the left, without overlaps.
    case replace(pattern: [UInt8], with: [UInt8])
    case lowercase
    case strip(left: Bool, right: Bool)
  }

  var steps: [Step] = []

  var isEmpty: Bool { steps.isEmpty }

  /// Replaces the text in `text` by its normalised form.
  /// - Parameter spare: memory for the work; its content is lost.
  /// - Returns: whether the first character stems from the start of the text.
  func apply(
    to text: inout Vector<UInt8>, spare: inout Vector<UInt8>, classes: CharacterClasses, allocator: Allocator,
    monitor: Monitor
  ) throws(BoneSoupError) -> Bool {
    var keepsStart = true
    for step in steps {
      try monitor.check()
      spare.removeAll()
      switch step {
      case .composed, .decomposed:
        var form = try CanonicalForm(composes: step == .composed, classes: classes, allocator: allocator)
        try form.append(text.span, to: &spare, monitor: monitor)
      case .prepend(let prefix):
        if text.count > 0 { try spare.append(contentsOf: prefix) }
        try spare.append(contentsOf: text.span)
      case .replace(let pattern, let replacement):
        // A replacement counts as standing at the last character of what it replaces.
        if text.span.starts(with: pattern), replacement.isEmpty || UTF8Scalar.count(in: pattern) > 1 {
          keepsStart = false
        }
        try replace(pattern, by: replacement, in: text.span, to: &spare, monitor: monitor)
      case .lowercase:
        try lowercase(text.span, to: &spare, monitor: monitor)
      case .strip(let left, let right):
        let span = text.span
        let start = left ? endOfSpaces(in: span, from: 0, classes: classes) : 0
        let end = right ? startOfSpaces(in: span, before: span.count, notBefore: start, classes: classes) : span.count
        try spare.append(contentsOf: UTF8Bytes(rebasing: span[start..<end]))
        if start > 0 { keepsStart = false }
      }
      swap(&text, &spare)
    }
    return keepsStart
  }

  /// Character by character, without regard to its neighbours, as Rust's `char::to_lowercase`.
  private func lowercase(
    _ text: UTF8Bytes, to output: inout Vector<UInt8>, monitor: Monitor
  ) throws(BoneSoupError) {
    var position = 0
    while position < text.count {
      if position & 0xFFFF == 0xFFFF { try monitor.check() }
      let decoded = UTF8Scalar(in: text, at: position)
      position &+= decoded.length
      guard let scalar = Unicode.Scalar(decoded.value) else { continue }
      for byte in scalar.properties.lowercaseMapping.utf8 { try output.append(byte) }
    }
  }
}

/// Appends `text` with each occurrence of `pattern`, which isn't empty, replaced.
func replace(
  _ pattern: [UInt8], by replacement: [UInt8], in text: UTF8Bytes, to output: inout Vector<UInt8>, monitor: Monitor
) throws(BoneSoupError) {
  var start = 0
  while let found = try firstOccurrence(of: pattern, in: text, from: start, monitor: monitor) {
    try output.append(contentsOf: UTF8Bytes(rebasing: text[start..<found]))
    try output.append(contentsOf: replacement)
    start = found &+ pattern.count
  }
  try output.append(contentsOf: UTF8Bytes(rebasing: text[start..<text.count]))
}

/// Where `pattern`, which isn't empty, starts at or after `start`; nil where it doesn't occur.
func firstOccurrence(
  of pattern: [UInt8], in text: UTF8Bytes, from start: Int, monitor: Monitor
) throws(BoneSoupError) -> Int? {
  guard let first = pattern.first else { return nil }
  var position = start
  while position &+ pattern.count <= text.count {
    if position & 0xFFFF == 0xFFFF { try monitor.check() }
    if text[position] == first {
      var length = 1
      while length < pattern.count, text[position &+ length] == pattern[length] { length &+= 1 }
      if length == pattern.count { return position }
    }
    position &+= 1
  }
  return nil
}

/// The first character at or after `start` that isn't a space.
func endOfSpaces(in text: UTF8Bytes, from start: Int, classes: CharacterClasses) -> Int {
  var position = start
  while position < text.count {
    let scalar = UTF8Scalar(in: text, at: position)
    guard classes[scalar.value].contains(.space) else { break }
    position &+= scalar.length
  }
  return position
}

/// Where the spaces start that end before `end`, looking back to `limit`.
func startOfSpaces(in text: UTF8Bytes, before end: Int, notBefore limit: Int, classes: CharacterClasses) -> Int {
  var position = end
  while position > limit {
    let scalar = UTF8Scalar(in: text, endingAt: position)
    guard classes[scalar.value].contains(.space) else { break }
    position &-= scalar.length
  }
  return max(position, limit)
}

extension Vector<UInt8> {
  mutating func append(contentsOf bytes: [UInt8]) throws(BoneSoupError) {
    for byte in bytes { try append(byte) }
  }
}
