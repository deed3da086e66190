public import Platform

/// What `config.json` says of a model's layers, where they are not the source's.
public struct LayerList: Sendable {
  public let count: Int
  /// The kind of attention of each; written where the source's config has such a list.
  public let types: [String]

  /// Of layers of which a config says nothing.
  public static let usualType = "full_attention"

  public init(count: Int, types: [String]) {
    self.count = count
    self.types = types
  }

  /// The list in a folder's config; empty where it has none.
  public static func types(
    _ folder: FileProvider, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) -> [String] {
    guard folder.exists("config.json") else { return [] }
    let config = try folder.json("config.json", maximumBytes: 1 << 20, allocator: allocator, monitor: monitor)
    guard let list = try config.root.optionalArray("layer_types") else { return [] }
    var types: [String] = []
    for type in try list.elements { types.append(try type.text(maxBytes: 64)) }
    return types
  }
}
