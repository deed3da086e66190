/// What a blend is, in 256 bits: equal for equal model, and for nothing else.
///
/// KV caches, prefixes and saved states carry it, so that one is never used with another.
public struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
  let digest: SHA256.Digest

  public static let byteCount = SHA256.Digest.byteCount

  public init(_ digest: SHA256.Digest) { self.digest = digest }

  /// From the first 32 bytes at `bytes`, as `write(to:)` leaves them; nil where there are fewer.
  public init?(bytes: UnsafeRawBufferPointer) {
    guard let digest = SHA256.Digest(bytes: bytes) else { return nil }
    self.digest = digest
  }

  /// Writes 32 bytes; the caller has made room for them.
  public func write(to destination: UnsafeMutableRawPointer) { digest.write(to: destination) }

  /// 64 lower-case hexadecimal digits.
  public var description: String { digest.description }
}
