import Platform

extension JSONValue {
  /// A string's text between the quotes: where `hasEscapes` is false, its decoded UTF-8. Empty for other kinds.
  ///
  /// Valid as long as the document.
  public var rawBytes: UnsafeRawBufferPointer {
    kind == .string ? scalarText : UnsafeRawBufferPointer(start: nil, count: 0)
  }

  public var hasEscapes: Bool { node.hasEscapes }

  /// A string's decoded bytes, one by one; empty for other kinds.
  public var characters: JSONText { JSONText(raw: rawBytes, hasEscapes: hasEscapes) }

  /// Whether this is a string of exactly these characters.
  public func equals(_ text: String) -> Bool { kind == .string && characters.equals(text) }

  /// Appends the decoded UTF-8 of a string.
  public func appendText(to bytes: inout Vector<UInt8>) throws(BoneSoupError) {
    try require(.string)
    guard hasEscapes else { return try bytes.append(contentsOf: rawBytes.bindMemory(to: UInt8.self)) }
    try bytes.reserve(bytes.count + rawBytes.count)
    for byte in characters { try bytes.append(byte) }
  }

  /// The decoded string; a longer text than `maxBytes` as written in the file is refused.
  public func text(maxBytes: Int) throws(BoneSoupError) -> String {
    try require(.string)
    let raw = rawBytes
    guard raw.count <= maxBytes else { throw malformed("has \(raw.count) bytes; at most \(maxBytes) are read") }
    return hasEscapes ? String(decoding: Array(characters), as: UTF8.self) : String(decoding: raw, as: UTF8.self)
  }
}
