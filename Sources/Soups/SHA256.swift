/// SHA-256 (FIPS 180-4), fed piece by piece. A plain value: copying it forks the computation.
public struct SHA256: Sendable {
  private var state = SIMD8<UInt32>(
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19)
  /// Bytes that do not fill a block yet; as many as the low six bits of `byteCount` say.
  private var pending = SIMD64<UInt8>(repeating: 0)
  private var byteCount: UInt64 = 0

  public init() {}

  /// The digest of one run of bytes.
  public static func digest(of bytes: UnsafeRawBufferPointer) -> Digest {
    var hash = SHA256()
    hash.update(bytes)
    return hash.digest
  }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    var offset = 0
    let filled = Int(byteCount & 63)
    byteCount &+= UInt64(bytes.count)
    if filled > 0 {
      offset = min(64 - filled, bytes.count)
      withUnsafeMutableBytes(of: &pending) {
        $0.baseAddress?.advanced(by: filled).copyMemory(from: start, byteCount: offset)
      }
      guard filled + offset == 64 else { return }
      compressPending()
    }
    let blocks = (bytes.count - offset) / 64
    Self.compress(&state, start + offset, blocks: blocks)
    offset += blocks * 64
    let rest = bytes.count - offset
    withUnsafeMutableBytes(of: &pending) { $0.baseAddress?.copyMemory(from: start + offset, byteCount: rest) }
  }

  /// The digest of what was fed so far; more may be fed afterwards.
  public var digest: Digest {
    var last = self
    let filled = Int(byteCount & 63)
    for index in filled..<64 { last.pending[index] = index == filled ? 0x80 : 0 }
    if filled >= 56 {
      last.compressPending()
      last.pending = SIMD64(repeating: 0)
    }
    let bitCount = byteCount &* 8
    for index in 0..<8 { last.pending[56 + index] = UInt8(truncatingIfNeeded: bitCount >> UInt64(56 - 8 * index)) }
    last.compressPending()
    return Digest(words: last.state)
  }

  private mutating func compressPending() {
    withUnsafeBytes(of: pending) { block in
      guard let start = block.baseAddress else { return }
      Self.compress(&state, start, blocks: 1)
    }
  }
}
