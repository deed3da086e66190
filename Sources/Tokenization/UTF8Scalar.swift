/// One scalar read from UTF-8 bytes.
struct UTF8Scalar {
  /// The scalar's value, or `invalid`.
  let value: UInt32
  /// Bytes that it takes; of an invalid sequence, the longest part that could have begun a valid one, at least 1.
  let length: Int

  static let invalid = UInt32.max
  var isValid: Bool { value != Self.invalid }

  /// The scalar that starts at `offset`, which is below `bytes.count`.
  ///
  /// Checks everything (Unicode, table 3-7), so no byte after the end is read whatever the bytes are.
  @inline(__always)
  init(in bytes: UnsafeBufferPointer<UInt8>, at offset: Int) {
    let first = bytes[offset]
    if first < 0x80 {
      self.init(value: UInt32(first), length: 1)
    } else {
      self.init(in: bytes, at: offset, first: first)
    }
  }

  private init(value: UInt32, length: Int) { (self.value, self.length) = (value, length) }

  private init(in bytes: UnsafeBufferPointer<UInt8>, at offset: Int, first: UInt8) {
    let remaining = bytes.count &- offset
    let wanted: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch first {
    case 0xC2...0xDF: wanted = 2
    case 0xE0: (wanted, second) = (3, 0xA0...0xBF)
    case 0xED: (wanted, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: wanted = 3
    case 0xF0: (wanted, second) = (4, 0x90...0xBF)
    case 0xF4: (wanted, second) = (4, 0x80...0x8F)
    case 0xF1...0xF3: wanted = 4
    default:
      self.init(value: Self.invalid, length: 1)
      return
    }
    guard remaining > 1, second.contains(bytes[offset &+ 1]) else {
      self.init(value: Self.invalid, length: 1)
      return
    }
    var scalar = UInt32(first) & (wanted == 2 ? 0x1F : wanted == 3 ? 0x0F : 0x07)
    scalar = scalar << 6 | UInt32(bytes[offset &+ 1] & 0x3F)
    for index in 2..<max(wanted, 2) {
      guard remaining > index, bytes[offset &+ index] & 0xC0 == 0x80 else {
        self.init(value: Self.invalid, length: index)
        return
      }
      scalar = scalar << 6 | UInt32(bytes[offset &+ index] & 0x3F)
    }
    self.init(value: scalar, length: wanted)
  }

  /// How many scalars valid text has.
  static func count(in bytes: [UInt8]) -> Int { bytes.count { $0 & 0xC0 != 0x80 } }

  /// The scalar that ends before `offset`, which is above 0 and at a boundary of valid text.
  init(in bytes: UnsafeBufferPointer<UInt8>, endingAt offset: Int) {
    var start = offset &- 1
    while start > 0, offset &- start < 4, bytes[start] & 0xC0 == 0x80 { start &-= 1 }
    self.init(in: bytes, at: start)
  }
}
