import Glibc

/// The decoded UTF-8 bytes of a JSON string, made one by one from its text.
///
/// Valid as long as the document it is from.
public struct JSONText: Sequence {
  /// The text between the quotes, escapes as written.
  public let raw: UnsafeRawBufferPointer
  let hasEscapes: Bool

  public struct Iterator: IteratorProtocol {
    private let raw: UnsafeRawBufferPointer
    private var position = 0
    /// Bytes of a decoded escape still to give, the first in the low byte.
    private var pending: UInt32 = 0
    private var pendingCount = 0

    init(_ raw: UnsafeRawBufferPointer) { self.raw = raw }

    public mutating func next() -> UInt8? {
      if pendingCount > 0 {
        let byte = UInt8(truncatingIfNeeded: pending)
        pending >>= 8
        pendingCount &-= 1
        return byte
      }
      guard position < raw.count else { return nil }
      let byte = raw[position]
      position &+= 1
      guard byte == UInt8(ascii: "\\"), position < raw.count else { return byte }
      return escape()
    }

    /// The first byte of the escape whose backslash was taken.
    private mutating func escape() -> UInt8? {
      let letter = raw[position]
      position &+= 1
      switch letter {
      case UInt8(ascii: "b"): return 0x08
      case UInt8(ascii: "f"): return 0x0C
      case UInt8(ascii: "n"): return 0x0A
      case UInt8(ascii: "r"): return 0x0D
      case UInt8(ascii: "t"): return 0x09
      case UInt8(ascii: "u"):
        var scalar = unit()
        if scalar & 0xFC00 == 0xD800 {
          position = Swift.min(position &+ 2, raw.count)
          scalar = 0x10000 &+ (scalar & 0x3FF) << 10 &+ unit() & 0x3FF
        }
        return encode(scalar)
      default: return letter
      }
    }

    /// Four hexadecimal digits; the parser has seen that they are there.
    private mutating func unit() -> UInt32 {
      var value: UInt32 = 0
      for _ in 0..<4 where position < raw.count {
        value = value << 4 | UInt32(hexadecimalDigit(raw[position]) ?? 0)
        position &+= 1
      }
      return value
    }

    private mutating func encode(_ scalar: UInt32) -> UInt8 {
      if scalar < 0x80 { return UInt8(truncatingIfNeeded: scalar) }
      let last = scalar & 0x3F | 0x80
      let middle = scalar >> 6 & 0x3F | 0x80
      if scalar < 0x800 {
        (pending, pendingCount) = (last, 1)
        return UInt8(truncatingIfNeeded: scalar >> 6 | 0xC0)
      }
      if scalar < 0x10000 {
        (pending, pendingCount) = (middle | last << 8, 2)
        return UInt8(truncatingIfNeeded: scalar >> 12 | 0xE0)
      }
      (pending, pendingCount) = (scalar >> 12 & 0x3F | 0x80 | middle << 8 | last << 16, 3)
      return UInt8(truncatingIfNeeded: scalar >> 18 | 0xF0)
    }
  }

  public func makeIterator() -> Iterator { Iterator(raw) }

  /// Whether the decoded text is exactly these bytes.
  public func equals(_ other: UnsafeRawBufferPointer) -> Bool {
    hasEscapes ? elementsEqual(other) : raw.count == other.count && Self.order(raw, other) == 0
  }

  public func equals(_ other: String) -> Bool { elementsEqual(other.utf8) }

  /// Lexicographic order of the decoded bytes.
  func precedes(_ other: JSONText) -> Bool {
    if hasEscapes || other.hasEscapes { return lexicographicallyPrecedes(other) }
    let order = Self.order(raw, other.raw)
    return order != 0 ? order < 0 : raw.count < other.raw.count
  }

  /// Of the bytes that both have.
  private static func order(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int32 {
    guard let leftStart = left.baseAddress, let rightStart = right.baseAddress else { return 0 }
    return memcmp(leftStart, rightStart, Swift.min(left.count, right.count))
  }
}

/// The value of a hexadecimal digit, or nil.
@inline(__always)
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
  default: nil
  }
}
