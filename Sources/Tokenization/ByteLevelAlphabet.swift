/// The printable characters that stand for bytes in a byte-level vocabulary (GPT-2's `bytes_to_unicode`).
///
/// The bytes that Latin-1 prints (! to ~, ¡ to ¬, ® to ÿ) stand for themselves; the other 68, in their order, are
/// U+0100 to U+0143.
enum ByteLevelAlphabet {
  /// One above the last character.
  static let end: UInt32 = 0x144

  @inline(__always)
  static func character(for byte: UInt8) -> UInt32 {
    let value = UInt32(byte)
    return switch byte {
    case 0x00...0x20: value &+ 0x100
    case 0x7F...0xA0: value &+ 0xA2
    case 0xAD: 0x143
    default: value
    }
  }

  /// The byte that a character stands for; nil where it stands for none.
  @inline(__always)
  static func byte(for character: UInt32) -> UInt8? {
    switch character {
    case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: UInt8(truncatingIfNeeded: character)
    case 0x100...0x120: UInt8(truncatingIfNeeded: character &- 0x100)
    case 0x121...0x142: UInt8(truncatingIfNeeded: character &- 0xA2)
    case 0x143: 0xAD
    default: nil
    }
  }
}
