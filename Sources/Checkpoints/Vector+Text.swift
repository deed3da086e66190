import Platform

/// Text of files in the making.
extension Vector where Element == UInt8 {
  mutating func append(text: String) throws(BoneSoupError) {
    try reserve(count + text.utf8.count)
    for byte in text.utf8 { try append(byte) }
  }

  /// A JSON string of UTF-8 text.
  mutating func appendJSON(string: UnsafeRawBufferPointer) throws(BoneSoupError) {
    try append(UInt8(ascii: "\""))
    for byte in string {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        try append(UInt8(ascii: "\\"))
        try append(byte)
      case 0..<0x20: try append(text: "\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16))
      default: try append(byte)
      }
    }
    try append(UInt8(ascii: "\""))
  }
}
