/// "line:column" of a byte of the text, both from 1; a column is a character.
func jsonLocation(_ text: UnsafeRawBufferPointer, at offset: Int) -> String {
  var line = 1
  var column = 1
  for byte in text.prefix(offset) {
    if byte == 0x0A {
      line += 1
      column = 1
    } else if byte & 0xC0 != 0x80 {
      column += 1
    }
  }
  return "\(line):\(column)"
}

/// At most `limit` bytes of a file's text, for a message.
func excerpt(_ bytes: UnsafeRawBufferPointer, limit: Int = 64) -> String {
  guard bytes.count > limit else { return String(decoding: bytes, as: UTF8.self) }
  var end = limit
  while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
  return String(decoding: bytes[..<end], as: UTF8.self) + "…"
}
