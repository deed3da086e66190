/// What a file of the soup must hash to.
public struct Checksum: Sendable, Equatable {
  /// As written, relative to the manifest.
  public let path: String
  public let digest: SHA256.Digest
}
