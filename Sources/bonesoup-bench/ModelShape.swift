import Checkpoints
import Platform
import Soups
import Transformer

/// What the model's configuration says about the work of a token. This, and the kernels, are all that the program takes
/// from inside the library; the rest goes through the public C functions.
struct ModelShape {
  let config: ModelConfig
  /// The folder of the model, which is the base's for a soup.
  let basePath: String
  let isSoup: Bool

  init(path: String) throws(Failure) {
    do {
      let allocator = Allocator(limit: nil, host: nil)
      let (folder, file) = try OpenOptions().locate(path)
      guard let manifest = file ?? (folder.exists(SoupManifest.fileName) ? SoupManifest.fileName : nil) else {
        (config, basePath, isSoup) = (try Self.config(folder, allocator), path, false)
        return
      }
      let bytes = try folder.open(manifest, maximumBytes: SoupManifest.maximumBytes, allocator: allocator)
      let base = try SoupManifest(bytes.bytes, file: bytes.name, allocator: allocator).base
      config = try Self.config(try folder.folder(base), allocator)
      (basePath, isSoup) = (folder.describe(base), true)
    } catch {
      throw Failure(message: error.message)
    }
  }

  private static func config(_ folder: FileProvider, _ allocator: Allocator) throws(BoneSoupError) -> ModelConfig {
    guard folder.exists("config.json") else {
      throw .notFound("\(folder.describe()) holds no config.json: it is no soup and no model folder")
    }
    let document = try folder.json("config.json", maximumBytes: 1 << 20, allocator: allocator)
    return try ModelConfig(document.root, generation: nil)
  }

  /// Numbers in the linear layers.
  var linearElements: Double {
    config.parameters.reduce(0) {
      guard case .linear = $1.role else { return $0 }
      return $0 + Double($1.elementCount)
    }
  }

  var embeddingElements: Double { Double(config.vocabularySize) * Double(config.hiddenSize) }

  /// Operations of a token of a prompt: the linear layers alone.
  var prefillOperations: Double { 2 * linearElements }

  /// Operations of a token whose logits are computed.
  var decodeOperations: Double { 2 * (linearElements + embeddingElements) }

  /// The share of the weights' bytes that a token reads: all but an embedding of its own, of which it reads a row.
  var readShare: Double {
    config.tiesEmbeddings ? 1 : 1 - embeddingElements / Double(max(1, config.parameterCount))
  }

  /// Numbers that one position leaves in the KV cache.
  var keyValueElements: Double { Double(2 * config.layerCount * config.keyValueHeadCount * config.headSize) }
}
