import Glibc
import JSON
public import Kernels
public import Platform

/// Writes a Hugging Face model folder: tensors, config, tokenizer, model card; transformers, vLLM and llama.cpp's
/// converter open it.
///
/// `config.json` is the source's own text with only the type of the weights changed; `generation_config.json` and the
/// tokenizer's files are the source's byte for byte.
public final class HuggingFaceFolderWriter: Sendable {
  /// Taken over where they exist, whatever is in them.
  static let carriedFiles = [
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "chat_template.jinja",
    "chat_template.json", "preprocessor_config.json",
  ]
  private static let configName = "config.json"
  private static let configBytes = 1 << 20
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
  ///   - card: the text of README.md, Markdown with its YAML head.
  public init(
    _ path: String, tensors list: TensorList, like source: FileProvider, type: ElementType?, card: String,
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
    let config = try Self.config(of: source, type: type, allocator: allocator, monitor: monitor.silent)
    let (total, overflow) = size.addingReportingOverflow(list.byteCount)
    guard !overflow else { throw .invalidArgument("\(path) would be too large") }
    folder = try OutputFolder(path, byteCount: total, isSynced: isSynced)
    try folder.write(Self.configName, UnsafeRawBufferPointer(config.span))
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

  /// The text of `config.json` with the value of `dtype` and `torch_dtype` replaced; one of them is added where neither
  /// is there.
  private static func config(
    of source: FileProvider, type: ElementType?, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) -> Vector<UInt8> {
    let file = try source.open(configName, maximumBytes: configBytes, allocator: allocator, monitor: monitor)
    let document = try JSONDocument(
      file.bytes, owner: file, file: file.name, maximumBytes: configBytes, allocator: allocator, monitor: monitor)
    var text = try Vector<UInt8>(
      capacity: file.bytes.count + 64, allocator: allocator, purpose: "the text of config.json")
    guard let type, let base = file.bytes.baseAddress else {
      try text.append(contentsOf: file.bytes.bindMemory(to: UInt8.self))
      return text
    }
    var done = 0
    var isNamed = false
    for member in try document.root.members where member.key.equals("dtype") || member.key.equals("torch_dtype") {
      isNamed = true
      // What is no string, as null, is left as it is.
      let old = member.value.rawBytes
      guard let start = old.baseAddress.map({ $0 - base }), start >= done else { continue }
      try text.append(contentsOf: UnsafeRawBufferPointer(rebasing: file.bytes[done..<start]).bindMemory(to: UInt8.self))
      try text.append(text: torchName(type))
      done = start + old.count
    }
    if !isNamed, let brace = file.bytes.firstIndex(of: UInt8(ascii: "{")) {
      try text.append(
        contentsOf: UnsafeRawBufferPointer(rebasing: file.bytes[..<(brace + 1)]).bindMemory(to: UInt8.self))
      try text.append(text: "\n  \"torch_dtype\": \"\(torchName(type))\"" + (document.root.count > 0 ? "," : ""))
      done = brace + 1
    }
    try text.append(contentsOf: UnsafeRawBufferPointer(rebasing: file.bytes[done...]).bindMemory(to: UInt8.self))
    return text
  }

  private static func torchName(_ type: ElementType) -> String {
    switch type {
    case .f32: "float32"
    case .f16: "float16"
    case .bf16: "bfloat16"
    }
  }
}
