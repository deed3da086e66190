public import Checkpoints
public import Kernels
public import Platform
public import Tokenization
public import Transformer

/// The model that all backbones were tuned from: θ₀, its run-time weights and its tokenizer. Immutable.
public final class BaseModel: Sendable {
  /// Names the folder in messages.
  public let name: String
  public let config: ModelConfig
  /// Where its files are, for what an export takes over.
  let folder: FileProvider
  /// θ₀ as stored, for folds.
  public let checkpoint: Checkpoint
  public let weights: ModelWeights
  /// The run-time format of the weights.
  public let format: WeightFormat
  /// nil for a model without tokenizer.json: it takes token numbers only.
  public let tokenizer: Tokenizer?
  /// Forward passes and other work spaces of this model's sizes, lent to whoever computes.
  public let works = WorkStore()

  static let configName = "config.json"
  private static let documentBytes = 1 << 20

  /// - Parameter format: the run-time format; nil is the file's own.
  public init(
    folder: FileProvider, format: WeightFormat?, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) {
    name = folder.describe()
    self.folder = folder
    config = try Self.config(in: folder, engine: engine, monitor: monitor.silent)
    checkpoint = try Checkpoint(folder: folder, allocator: engine.allocator, monitor: monitor.part(from: 0, to: 0.5))
    try checkpoint.refuseUnknownTensors(config)
    try checkpoint.requireTiedHead(config, engine: engine, monitor: monitor.silent)
    tokenizer = try Self.tokenizer(in: folder, engine: engine, monitor: monitor.part(from: 0.5, to: 0.6))
    self.format = if let format { format } else { try ModelWeights.storedFormat(config, in: checkpoint) }
    weights = try ModelWeights.load(
      config, from: checkpoint, format: self.format, engine: engine, monitor: monitor.part(from: 0.6, to: 1))
  }

  /// Lends a forward pass.
  public func withPass<Result>(
    _ engine: Engine, _ body: (ForwardPass) throws(BoneSoupError) -> Result
  ) throws(BoneSoupError) -> Result {
    try works.lend({ () throws(BoneSoupError) in ForwardPass(config, engine: engine) }, body)
  }

  static func config(in folder: FileProvider, engine: Engine, monitor: Monitor) throws(BoneSoupError) -> ModelConfig {
    guard folder.exists(configName) else {
      throw .notFound("\(folder.describe()) has no \(configName): it is not a Hugging Face model folder")
    }
    let document = try folder.json(
      configName, maximumBytes: documentBytes, allocator: engine.allocator, monitor: monitor.silent)
    let generationName = "generation_config.json"
    guard folder.exists(generationName) else { return try ModelConfig(document.root, generation: nil) }
    let generation = try folder.json(
      generationName, maximumBytes: documentBytes, allocator: engine.allocator, monitor: monitor.silent)
    return try ModelConfig(document.root, generation: generation.root)
  }

  private static func tokenizer(
    in folder: FileProvider, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> Tokenizer? {
    let name = "tokenizer.json"
    guard folder.exists(name) else { return nil }
    let file = try folder.open(name, allocator: engine.allocator, monitor: monitor)
    return try Tokenizer(
      json: file.bytes, owner: file, file: file.name, allocator: engine.allocator, monitor: monitor)
  }
}

extension BaseModel {
  public func requireTokenizer() throws(BoneSoupError) -> Tokenizer {
    guard let tokenizer else {
      throw .mismatch("\(name) has no tokenizer.json, so that it takes token numbers only")
    }
    return tokenizer
  }
}
