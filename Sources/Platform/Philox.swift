/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3; SC 2011): a random number is
/// a function of key and counter, so the numbers of a text don't depend on what was drawn elsewhere, or before.
///
/// A session's stream has its seed as key (low word first) and the step as the low 64 bits of the counter.
public struct Philox: Sendable {
  public let seed: UInt64

  public init(seed: UInt64) { self.seed = seed }

  /// The block cipher: four words for a 128-bit counter under a 64-bit key, least significant words first.
  public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var x = counter
    var key = key
    for _ in 0..<10 {
      let a = UInt64(x[0]) &* 0xD251_1F53
      let b = UInt64(x[2]) &* 0xCD9E_8D57
      x = SIMD4(
        UInt32(truncatingIfNeeded: b >> 32) ^ x[1] ^ key[0], UInt32(truncatingIfNeeded: b),
        UInt32(truncatingIfNeeded: a >> 32) ^ x[3] ^ key[1], UInt32(truncatingIfNeeded: a))
      key = SIMD2(key[0] &+ 0x9E37_79B9, key[1] &+ 0xBB67_AE85)
    }
    return x
  }

  /// The step's number in [0, 1): the 53 high bits of the block's second word followed by its first, times 2^−53.
  public func uniform(step: UInt64) -> Double {
    let words = Self.block(
      counter: SIMD4(UInt32(truncatingIfNeeded: step), UInt32(truncatingIfNeeded: step >> 32), 0, 0),
      key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
    return Double((UInt64(words[1]) << 32 | UInt64(words[0])) >> 11) * 0x1p-53
  }
}
