import Platform

/// Text of files in the making.
extension Vector where Element == UInt8 {
  mutating func append(text: String) throws(BoneSoupError) {
    try reserve(count + text.utf8.count)
    for byte in text.utf8 { try append(byte) }
  }

  mutating func appendJSON(text: String) throws(BoneSoupError) {
    try append(UInt8(ascii: "\""))
    for byte in text.utf8 { try appendJSON(byte: byte) }
    try append(UInt8(ascii: "\""))
  }

  /// A JSON string of UTF-8 text.
  mutating func appendJSON(string: UnsafeRawBufferPointer) throws(BoneSoupError) {
    try append(UInt8(ascii: "\""))
    for byte in string { try appendJSON(byte: byte) }
    try append(UInt8(ascii: "\""))
  }

  /// A byte inside a JSON string.
  private mutating func appendJSON(byte: UInt8) throws(BoneSoupError) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"):
      try append(UInt8(ascii: "\\"))
      try append(byte)
    case 0..<0x20: try append(text: "\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16))
    default: try append(byte)
    }
  }
}
