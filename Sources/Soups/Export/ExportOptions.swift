public import Kernels

/// How a blend is written to files.
public struct ExportOptions: Sendable {
  public enum Kind: Sendable {
    /// A Hugging Face model folder.
    case folder
    /// A PEFT adapter of the base.
    case adapter
  }

  public var kind = Kind.folder
  /// Of the numbers; nil: each tensor of a folder as in the base, an adapter as its sources where these agree, else f32.
  public var type: ElementType?
  /// Of an adapter, at most: what the sources' ranks add up to is recompressed; nil is exact.
  public var rank: Int?
  /// Data of one file of a folder at most, unless one tensor is larger; nil is the usual.
  public var shardBytes: Int?
  /// Whether the card gives the SHA-256 of the source files that are read whole.
  public var hashesSources = true
  /// What the base is called where the files are used; nil: the path that it was opened by, in an adapter's config.
  public var baseName: String?

  public init() {}
}
