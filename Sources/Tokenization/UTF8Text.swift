import Platform

/// UTF-8 text in memory that the caller owns.
typealias UTF8Bytes = UnsafeBufferPointer<UInt8>

/// Throws, with the offset, where `text` is not UTF-8.
func requireUTF8(_ text: UTF8Bytes, monitor: Monitor) throws(BoneSoupError) {
  let raw = UnsafeRawBufferPointer(text)
  var offset = 0
  var nextCheck = 0
  while offset < text.count {
    if offset >= nextCheck {
      try monitor.check()
      nextCheck = offset &+ 1 << 20
    }
    if text.count &- offset >= 8,
      raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
    {
      offset &+= 8
      continue
    }
    let scalar = UTF8Scalar(in: text, at: offset)
    guard scalar.isValid else {
      throw .invalidArgument(
        "the text is not UTF-8: the byte at offset \(offset) is \(text[offset]) and begins no character")
    }
    offset &+= scalar.length
  }
}

/// Appends `bytes` with each maximal invalid part replaced by U+FFFD, as Rust's `from_utf8_lossy` and Python's
/// `errors="replace"` do.
func appendReplacingInvalid(_ bytes: UTF8Bytes, to output: inout Vector<UInt8>) throws(BoneSoupError) {
  var start = 0
  var offset = 0
  while offset < bytes.count {
    let scalar = UTF8Scalar(in: bytes, at: offset)
    if !scalar.isValid {
      try output.append(contentsOf: UTF8Bytes(rebasing: bytes[start..<offset]))
      try appendReplacementCharacter(to: &output)
      start = offset &+ scalar.length
    }
    offset &+= scalar.length
  }
  try output.append(contentsOf: UTF8Bytes(rebasing: bytes[start..<bytes.count]))
}

func appendReplacementCharacter(to output: inout Vector<UInt8>) throws(BoneSoupError) {
  try appendScalar(0xFFFD, to: &output)
}

/// Appends the UTF-8 of a scalar.
func appendScalar(_ scalar: UInt32, to output: inout Vector<UInt8>) throws(BoneSoupError) {
  let last = UInt8(truncatingIfNeeded: scalar & 0x3F | 0x80)
  let third = UInt8(truncatingIfNeeded: scalar >> 6 & 0x3F | 0x80)
  let second = UInt8(truncatingIfNeeded: scalar >> 12 & 0x3F | 0x80)
  switch scalar {
  case 0..<0x80:
    try output.append(UInt8(truncatingIfNeeded: scalar))
  case 0x80..<0x800:
    try output.append(UInt8(truncatingIfNeeded: scalar >> 6 | 0xC0))
    try output.append(last)
  case 0x800..<0x10000:
    try output.append(UInt8(truncatingIfNeeded: scalar >> 12 | 0xE0))
    try output.append(third)
    try output.append(last)
  default:
    try output.append(UInt8(truncatingIfNeeded: scalar >> 18 | 0xF0))
    try output.append(second)
    try output.append(third)
    try output.append(last)
  }
}

/// At most the first 100 bytes, for a message.
func excerpt(_ bytes: UTF8Bytes) -> String {
  bytes.count <= 100 ? String(decoding: bytes, as: UTF8.self) : String(decoding: bytes.prefix(100), as: UTF8.self) + "…"
}
