import Glibc
public import Kernels
public import Platform

/// Writes a Hugging Face model folder: tensors, config, tokenizer, model card; transformers, vLLM and llama.cpp's
/// converter open it.
///
/// `config.json` is the source's own text with nothing changed but the type of the weights and, where asked, whether they
/// are tied and which layers there are; `generation_config.json`, the tokenizer's files and the licence are the source's byte for byte.
public final class HuggingFaceFolderWriter: Sendable {
  /// Taken over where they exist, whatever is in them.
  static let carriedFiles = [
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "chat_template.jinja",
    "chat_template.json", "preprocessor_config.json", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt",
  ]
  private static let configName = "config.json"
  /// Tokenizers of 256,000 tokens have some 35 MB.
  private static let fileBytes = 1 << 28
  /// Beside the tensors: the headers of the files, config, card.
  private static let spareBytes = 1 << 22

  private let folder: OutputFolder
  public let tensors: SafetensorsWriter

  /// Creates the folder, not yet under its name, with everything but the tensors.
  ///
  /// - Parameters:
  ///   - path: does not exist, or is an empty folder.
  ///   - source: the folder whose config and tokenizer are taken over.
  ///   - type: what `config.json` calls the type of the weights; nil leaves it as it is.
  ///   - isUntied: whether `config.json` is to say that the embedding is not the head.
  ///   - layers: what `config.json` is to say of the layers; nil leaves it as it is.
  ///   - card: the text of README.md, Markdown with its YAML head.
  public init(
    _ path: String, tensors list: TensorList, like source: FileProvider, type: ElementType?, isUntied: Bool = false,
    layers: LayerList? = nil, card: String,
    shardBytes: Int? = SafetensorsWriter.defaultShardBytes, isSynced: Bool = true, allocator: Allocator,
    monitor: Monitor = .none
  ) throws(BoneSoupError) {
    var carried: [FileBytes] = []
    var names: [String] = []
    var size = Self.spareBytes + card.utf8.count + 256 * list.count
    for name in Self.carriedFiles where source.exists(name) {
      let file = try source.open(name, maximumBytes: Self.fileBytes, allocator: allocator, monitor: monitor.silent)
      carried.append(file)
      names.append(name)
      size += file.bytes.count
    }
    var config = try ConfigText(of: source, name: Self.configName, allocator: allocator, monitor: monitor.silent)
    if let type { try config.set("torch_dtype", "dtype", to: "\"\(type.torchName)\"") }
    if let layers {
      try config.set("num_hidden_layers", "n_layer", to: "\(layers.count)")
      try config.replaceList("layer_types", by: layers.types)
    }
    if isUntied { try config.set("tie_word_embeddings", to: "false") }
    let (total, overflow) = size.addingReportingOverflow(list.byteCount)
    guard !overflow else { throw .invalidArgument("\(path) would be too large") }
    folder = try OutputFolder(path, byteCount: total, isSynced: isSynced)
    try folder.write(Self.configName, config.bytes)
    for (name, file) in zip(names, carried) { try folder.write(name, file.bytes) }
    try folder.write("README.md", text: card)
    tensors = try SafetensorsWriter(list, in: folder, shardBytes: shardBytes, monitor: monitor.silent)
  }

  /// Adds a file of the caller's own.
  public func write(_ name: String, text: String) throws(BoneSoupError) { try folder.write(name, text: text) }

  /// Gives the folder its name, when all tensors are written.
  public func commit(monitor: Monitor = .none) throws(BoneSoupError) {
    try tensors.finish()
    try folder.commit(monitor: monitor)
  }
}
