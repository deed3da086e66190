import Platform

/// Reads a text once, from front to back and without recursion, and writes its tape.
///
/// Scanning loops stop at `limit`, where the monitor is asked, so that no text is long enough to delay a cancel.
struct JSONParser: ~Copyable {
  private static let checkInterval = 4 << 20

  let text: UnsafePointer<UInt8>
  let bytes: UnsafeRawBufferPointer
  let end: Int
  private let file: String
  private let maximumDepth: Int
  private let monitor: Monitor
  /// Tape indices of the containers that are open.
  private var open: Vector<UInt32>
  var position = 0
  var limit: Int
  var tape: JSONTape

  init(
    _ bytes: UnsafeRawBufferPointer, file: String, maximumDepth: Int, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) {
    guard let base = bytes.baseAddress, bytes.count > 0 else {
      throw .malformed("\(file):1:1: expected a value, found the end of the file")
    }
    let open = try Vector<UInt32>(
      capacity: maximumDepth, allocator: allocator, purpose: "the open containers of a JSON text")
    let tape = try JSONTape(
      capacity: bytes.count / 16 + 16, allocator: allocator, file: file, monitor: monitor)
    self.bytes = bytes
    text = base.assumingMemoryBound(to: UInt8.self)
    end = bytes.count
    limit = min(end, Self.checkInterval)
    self.file = file
    self.maximumDepth = maximumDepth
    self.monitor = monitor
    self.open = open
    self.tape = tape
  }

  mutating func parse() throws(BoneSoupError) {
    if end >= 3, text[0] == 0xEF, text[1] == 0xBB, text[2] == 0xBF {
      throw failure(at: 0, "a byte order mark, which JSON must not have; save the file as UTF-8 without it")
    }
    while true {
      try skipSpace()
      if try scanValue() { continue }
      while true {
        guard open.count > 0 else { return try expectEnd() }
        if try scanSeparator() { break }
      }
    }
  }

  /// Reads a scalar, an empty container or the start of one; true where an element's or member's value must follow.
  @inline(__always)
  private mutating func scanValue() throws(BoneSoupError) -> Bool {
    guard position < end else { throw unexpected("a value") }
    switch text[position] {
    case UInt8(ascii: "\""):
      try scanString()
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      try scanNumber()
    case UInt8(ascii: "{"):
      try enter(.object)
      if position < end, text[position] == UInt8(ascii: "}") {
        leave()
      } else {
        try scanKey()
        return true
      }
    case UInt8(ascii: "["):
      try enter(.array)
      guard position < end, text[position] == UInt8(ascii: "]") else { return true }
      leave()
    case UInt8(ascii: "t"): try scanLiteral("true", .bool)
    case UInt8(ascii: "f"): try scanLiteral("false", .bool)
    case UInt8(ascii: "n"): try scanLiteral("null", .null)
    default: throw unexpected("a value")
    }
    return false
  }

  /// After a value inside a container: counts it, and reads a comma (true) or the container's end (false).
  @inline(__always)
  private mutating func scanSeparator() throws(BoneSoupError) -> Bool {
    let container = Int(open[open.count &- 1])
    tape.nodes[container].count &+= 1
    let isObject = tape.nodes[container].kind == .object
    try skipSpace()
    guard position < end else { throw unexpected(isObject ? "',' or '}'" : "',' or ']'") }
    switch text[position] {
    case UInt8(ascii: ","):
      position &+= 1
      if isObject {
        try skipSpace()
        try scanKey()
      }
      return true
    case UInt8(ascii: "}") where isObject, UInt8(ascii: "]") where !isObject:
      leave()
      return false
    default:
      throw unexpected(isObject ? "',' or '}'" : "',' or ']'")
    }
  }

  private mutating func enter(_ kind: JSONValue.Kind) throws(BoneSoupError) {
    guard open.count < maximumDepth else {
      throw failure(at: position, "arrays and objects nested more than \(maximumDepth) deep")
    }
    try open.append(UInt32(truncatingIfNeeded: tape.count))
    try tape.append(JSONNode(start: UInt32(truncatingIfNeeded: position), count: 0, next: 0, kind: kind))
    position &+= 1
    try skipSpace()
  }

  /// At the closing bracket of the innermost container.
  private mutating func leave() {
    position &+= 1
    let container = Int(open[open.count &- 1])
    tape.nodes[container].next = UInt32(truncatingIfNeeded: tape.count)
    open.truncate(to: open.count &- 1)
  }

  @inline(__always)
  private mutating func scanKey() throws(BoneSoupError) {
    guard position < end, text[position] == UInt8(ascii: "\"") else { throw unexpected("a key in quotes") }
    try scanString()
    try skipSpace()
    guard position < end, text[position] == UInt8(ascii: ":") else { throw unexpected("':' after the key") }
    position &+= 1
  }

  private mutating func scanLiteral(_ literal: StaticString, _ kind: JSONValue.Kind) throws(BoneSoupError) {
    let count = literal.utf8CodeUnitCount
    guard count <= end - position else { throw unexpected("\(literal)") }
    for offset in 0..<count where text[position + offset] != literal.utf8Start[offset] {
      throw unexpected("\(literal)")
    }
    try appendScalar(kind, start: position, count: count)
    position &+= count
  }

  @inline(__always)
  mutating func appendScalar(
    _ kind: JSONValue.Kind, start: Int, count: Int, hasEscapes: Bool = false
  ) throws(BoneSoupError) {
    try tape.append(
      JSONNode(
        start: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: count),
        next: UInt32(truncatingIfNeeded: tape.count &+ 1), kind: kind, hasEscapes: hasEscapes))
  }

  private mutating func expectEnd() throws(BoneSoupError) {
    try skipSpace()
    guard position == end else { throw unexpected("the end of the file") }
  }

  @inline(__always)
  private mutating func skipSpace() throws(BoneSoupError) {
    while true {
      while position < limit {
        switch text[position] {
        case 0x20, 0x0A, 0x0D, 0x09: position &+= 1
        default: return
        }
      }
      if position >= end { return }
      try extendLimit()
    }
  }

  /// Moves `limit` on from the position, asking the monitor.
  @inline(never)
  mutating func extendLimit() throws(BoneSoupError) {
    try monitor.check()
    limit = end - position > Self.checkInterval ? position + Self.checkInterval : end
  }

  /// "file:line:column: expected …, found …" for the position.
  func unexpected(_ expected: String) -> BoneSoupError {
    guard position < end else { return failure(at: end, "expected \(expected), found the end of the file") }
    let byte = text[position]
    let found =
      byte > 0x20 && byte < 0x7F
      ? "'\(Unicode.Scalar(byte))'" : "the byte 0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    return failure(at: position, "expected \(expected), found \(found)")
  }

  @inline(never)
  func failure(at offset: Int, _ what: String) -> BoneSoupError {
    .malformed("\(file):\(jsonLocation(bytes, at: offset)): \(what)")
  }
}
