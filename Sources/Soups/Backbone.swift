public import Checkpoints
public import Platform
public import Transformer

/// A fine-tune of the base, θᵢ: a full checkpoint, or a LoRA adapter that stands for Δᵢ = θᵢ − θ₀.
public struct Backbone: Sendable {
  public enum Content: Sendable {
    case full(Checkpoint)
    case lowRank(Adapter)
  }

  /// As the host or soup.json gave it.
  public let path: String
  public let content: Content

  public var isFull: Bool {
    if case .full = content { true } else { false }
  }

  /// The adapter of a low-rank backbone.
  var adapter: Adapter? {
    if case .lowRank(let adapter) = content { adapter } else { nil }
  }

  var identities: [FileIdentity] {
    switch content {
    case .full(let checkpoint): checkpoint.identities
    case .lowRank(let adapter): adapter.identities
    }
  }

  /// Its files of tensors.
  var sources: [FileBytes] {
    switch content {
    case .full(let checkpoint): checkpoint.sources
    case .lowRank(let adapter): adapter.sources
    }
  }

  /// Numbers in its files.
  public func parameterCount(_ config: ModelConfig) -> Int {
    switch content {
    case .full: config.parameterCount
    case .lowRank(let adapter): adapter.modules.reduce(0) { $0 + $1.down.count + $1.up.count }
    }
  }

  /// Opens a backbone and checks that it belongs to the base.
  ///
  /// - Parameters:
  ///   - path: a folder, or a safetensors file, as `files` names it.
  ///   - label: the path that the host gave; nil is `path`.
  public init(
    path: String, label: String? = nil, files: FileProvider, base: BaseModel, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) {
    self.path = label ?? path
    if files.exists(path), !files.isFolder(path) {
      let checkpoint = try Checkpoint(file: path, in: files, allocator: engine.allocator, monitor: monitor)
      try Self.check(checkpoint, base, engine: engine, monitor: monitor)
      content = .full(checkpoint)
      return
    }
    let folder = try files.folder(path)
    if Adapter.isAdapter(folder) {
      let adapter = try Adapter(folder: folder, allocator: engine.allocator, monitor: monitor)
      try Self.check(adapter, base, engine: engine, monitor: monitor)
      content = .lowRank(adapter)
      return
    }
    if folder.exists(BaseModel.configName) {
      let config = try BaseModel.config(in: folder, engine: engine, monitor: monitor)
      if let difference = config.difference(from: base.config) {
        throw .mismatch("\(folder.describe()) is not a fine-tune of \(base.name): \(difference)")
      }
    }
    let checkpoint = try Checkpoint(folder: folder, allocator: engine.allocator, monitor: monitor)
    try Self.check(checkpoint, base, engine: engine, monitor: monitor)
    content = .full(checkpoint)
  }

  private static func check(
    _ checkpoint: Checkpoint, _ base: BaseModel, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) {
    try checkpoint.refuseUnknownTensors(base.config)
    for parameter in base.config.parameters { _ = try checkpoint.tensor(of: parameter) }
    try checkpoint.requireTiedHead(base.config, engine: engine, monitor: monitor)
  }

  private static func check(
    _ adapter: Adapter, _ base: BaseModel, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) {
    let config = base.config
    let ends = ["model.embed_tokens", "lm_head"]
    if adapter.ensuresWeightTying, config.tiesEmbeddings, adapter.modules.contains(where: { ends.contains($0.name) }) {
      throw .unsupported(
        "\(adapter.name): ensure_weight_tying with an adapter on the embedding or the head is not supported; "
          + "train without adapters on these, or merge the adapter into a full checkpoint")
    }
    for module in adapter.modules {
      guard let shape = config.matrix(ofModule: module.name)?.shape else {
        throw .mismatch(
          "\(adapter.name): the adapter changes \(module.name.prefix(200)), which is no layer of \(base.name)")
      }
      let isEmbedding = module.name == ends[0]
      guard (module.kind == .embedding) == isEmbedding else {
        throw .malformed("\(adapter.name): the adapter of \(module.name) is of the wrong kind")
      }
      let inputs = isEmbedding ? shape[0] : shape[1]
      let outputs = isEmbedding ? shape[1] : shape[0]
      try module.down.require(shape: [module.rank, inputs])
      try module.up.require(shape: [outputs, module.rank])
    }
    for saved in adapter.baseTensors {
      try monitor.check()
      try requireEqual(saved, base, engine: engine, monitor: monitor, adapter: adapter.name)
    }
  }

  /// PEFT saves the base's embedding along with adapters that target it; another one would be a change of the base.
  private static func requireEqual(
    _ saved: AdapterBaseTensor, _ base: BaseModel, engine: Engine, monitor: Monitor, adapter: String
  ) throws(BoneSoupError) {
    guard let parameter = base.config.matrix(ofModule: saved.module) else {
      throw .mismatch("\(adapter): \(saved.weight.name) is no weight of \(base.name)")
    }
    try saved.weight.require(shape: parameter.shape)
    let own = try base.checkpoint.tensor(of: parameter)
    if let element = try saved.weight.firstDifference(from: own, engine: engine, monitor: monitor) {
      throw .unsupported(
        "\(adapter): the saved \(saved.weight.name) differs from the base's at element \(element); "
          + "an adapter may not bring weights of its own: merge it into a full checkpoint")
    }
  }
}

extension ModelConfig {
  /// What makes a checkpoint of `self` no fine-tune of a base of `other`, in words; nil where nothing does.
  func difference(from other: ModelConfig) -> String? {
    func differ<Value: Equatable>(_ name: String, _ path: KeyPath<ModelConfig, Value>) -> String? {
      self[keyPath: path] == other[keyPath: path]
        ? nil : "its \(name) is \(self[keyPath: path]), the base's \(other[keyPath: path])"
    }
    let differences = [
      differ("model_type", \.modelType), differ("vocab_size", \.vocabularySize), differ("hidden_size", \.hiddenSize),
      differ("num_hidden_layers", \.layerCount), differ("num_attention_heads", \.headCount),
      differ("num_key_value_heads", \.keyValueHeadCount), differ("head_dim", \.headSize),
      differ("intermediate_size", \.intermediateSize), differ("rms_norm_eps", \.normEpsilon),
      differ("tie_word_embeddings", \.tiesEmbeddings),
      rotary == other.rotary ? nil : "its rotary positions are others than the base's",
      hasSameBiasesAndWindows(as: other) ? nil : "its biases or sliding windows are others than the base's",
    ]
    return differences.compactMap { $0 }.first
  }
}
