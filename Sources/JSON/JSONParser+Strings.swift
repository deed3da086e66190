import Platform

extension JSONParser {
  /// Reads a string, its opening quote being at the position: UTF-8 and escapes are checked here, once.
  @inline(__always)
  mutating func scanString() throws(BoneSoupError) {
    position &+= 1
    let start = position
    var hasEscapes = false
    while true {
      while limit &- position >= 8 {
        let stops = Self.stops(
          UInt64(littleEndian: UnsafeRawPointer(text + position).loadUnaligned(as: UInt64.self)))
        if stops != 0 {
          position &+= stops.trailingZeroBitCount >> 3
          break
        }
        position &+= 8
      }
      guard position < limit else {
        guard position < end else { throw failure(at: start &- 1, "a string without its closing quote") }
        try extendLimit()
        continue
      }
      let byte = text[position]
      if byte == UInt8(ascii: "\"") {
        try appendScalar(.string, start: start, count: position &- start, hasEscapes: hasEscapes)
        position &+= 1
        return
      }
      if byte >= 0x80 {
        try scanMultibyte(byte)
      } else if byte == UInt8(ascii: "\\") {
        hasEscapes = true
        try scanEscape()
      } else if byte < 0x20 {
        throw failure(at: position, "a control character in a string; write it as an escape such as \\n or \\u0000")
      } else {
        position &+= 1
      }
    }
  }

  /// Marks, in each byte's top bit, the bytes of eight that end a plain run: quote, backslash, control characters and
  /// bytes outside ASCII. The lowest mark is exact; those above it may be false, as borrows run upwards.
  @inline(__always)
  private static func stops(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quotes = word ^ ones &* UInt64(UInt8(ascii: "\""))
    let backslashes = word ^ ones &* UInt64(UInt8(ascii: "\\"))
    let low =
      (quotes &- ones) & ~quotes | (backslashes &- ones) & ~backslashes | (word &- ones &* 0x20) & ~word | word
    return low & ones &* 0x80
  }

  /// A character outside ASCII: the well-formed sequences of table 3-7 of the Unicode standard.
  @inline(__always)
  private mutating func scanMultibyte(_ lead: UInt8) throws(BoneSoupError) {
    let count: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0xC2...0xDF: count = 2
    case 0xE0: (count, second) = (3, 0xA0...0xBF)
    case 0xED: (count, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: count = 3
    case 0xF0: (count, second) = (4, 0x90...0xBF)
    case 0xF4: (count, second) = (4, 0x80...0x8F)
    case 0xF1...0xF3: count = 4
    default: throw failure(at: position, "a string that is not valid UTF-8")
    }
    guard count <= end &- position, second.contains(text[position &+ 1]),
      count < 3 || text[position &+ 2] & 0xC0 == 0x80, count < 4 || text[position &+ 3] & 0xC0 == 0x80
    else { throw failure(at: position, "a string that is not valid UTF-8") }
    position &+= count
  }

  private mutating func scanEscape() throws(BoneSoupError) {
    guard end - position >= 2 else { throw failure(at: position, "a string without its closing quote") }
    switch text[position + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 2
    case UInt8(ascii: "u"):
      guard let unit = unicodeEscape(at: position) else {
        throw failure(at: position, "an escape \\u without four hexadecimal digits")
      }
      if unit & 0xF800 != 0xD800 {
        position += 6
      } else if unit < 0xDC00, let low = unicodeEscape(at: position + 6), low & 0xFC00 == 0xDC00 {
        position += 12
      } else {
        throw failure(at: position, "a surrogate \\u escape without its partner")
      }
    default:
      throw failure(at: position, "an escape that JSON does not have")
    }
  }

  /// The code unit of a \uXXXX at this offset, or nil.
  private func unicodeEscape(at offset: Int) -> UInt16? {
    guard end - offset >= 6, text[offset] == UInt8(ascii: "\\"), text[offset + 1] == UInt8(ascii: "u") else {
      return nil
    }
    var unit: UInt16 = 0
    for index in offset + 2..<offset + 6 {
      guard let digit = hexadecimalDigit(text[index]) else { return nil }
      unit = unit << 4 | UInt16(digit)
    }
    return unit
  }
}
