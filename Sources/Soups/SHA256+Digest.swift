extension SHA256 {
  /// 256 bits.
  public struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The eight words in the standard's order.
    let words: SIMD8<UInt32>

    public static let byteCount = 32

    init(words: SIMD8<UInt32>) { self.words = words }

    /// From 64 hexadecimal digits of either case; nil for anything else.
    public init?(hex: some Collection<UInt8>) {
      guard hex.count == 64 else { return nil }
      var words = SIMD8<UInt32>(repeating: 0)
      for (index, character) in hex.enumerated() {
        let digit: UInt8
        switch character {
        case 0x30...0x39: digit = character - 0x30
        case 0x41...0x46: digit = character - 0x41 + 10
        case 0x61...0x66: digit = character - 0x61 + 10
        default: return nil
        }
        words[index / 8] = words[index / 8] << 4 | UInt32(digit)
      }
      self.words = words
    }

    /// From the first 32 bytes at `bytes`, as `write(to:)` leaves them; nil where there are fewer.
    public init?(bytes: UnsafeRawBufferPointer) {
      guard bytes.count >= Self.byteCount else { return nil }
      var words = SIMD8<UInt32>(repeating: 0)
      for index in 0..<8 {
        words[index] = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
      }
      self.words = words
    }

    /// Writes 32 bytes in the standard's order; the caller has made room for them.
    public func write(to destination: UnsafeMutableRawPointer) {
      for index in 0..<8 {
        destination.storeBytes(of: words[index].bigEndian, toByteOffset: 4 * index, as: UInt32.self)
      }
    }

    /// 64 lower-case hexadecimal digits.
    public var description: String {
      var text = ""
      for index in 0..<8 {
        let digits = String(words[index], radix: 16)
        text += String(repeating: "0", count: 8 - digits.utf8.count) + digits
      }
      return text
    }
  }
}
