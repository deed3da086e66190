/// A fast hash with a random seed, so that nobody can write a file whose keys all collide.
struct SeededHash {
  private let seed: UInt64
  private static let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15

  init() {
    var generator = SystemRandomNumberGenerator()
    seed = generator.next()
  }

  @inline(__always)
  private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
  }

  @inline(__always)
  func callAsFunction(_ key: UInt64) -> UInt64 {
    Self.fold(key ^ seed, Self.multiplier ^ seed << 1)
  }

  func callAsFunction(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    let raw = UnsafeRawBufferPointer(bytes)
    var hash = seed ^ UInt64(truncatingIfNeeded: bytes.count)
    var offset = 0
    while bytes.count &- offset >= 8 {
      hash = Self.fold(hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self), Self.multiplier)
      offset &+= 8
    }
    var tail: UInt64 = 0
    while offset < bytes.count {
      tail = tail << 8 | UInt64(bytes[offset])
      offset &+= 1
    }
    return Self.fold(hash ^ tail, Self.multiplier ^ seed << 1)
  }
}
