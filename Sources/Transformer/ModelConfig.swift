/// The shape of a decoder: what `config.json` says, whatever its spelling.
public struct ModelConfig: Sendable, Equatable {
  /// Hugging Face's name of the architecture, as in `"model_type": "qwen2"`.
  public let modelType: String
  public let vocabularySize: Int
  /// Width of the residual stream.
  public let hiddenSize: Int
  public let layerCount: Int
  public let headCount: Int
  public let keyValueHeadCount: Int
  public let headSize: Int
  public let intermediateSize: Int
  public let normEpsilon: Float
  /// Positions the model was made for.
  public let contextLength: Int
  /// The output matrix is the embedding.
  public let tiesEmbeddings: Bool
  public let hasQueryKeyValueBias: Bool
  public let hasOutputBias: Bool
  public let hasFeedForwardBias: Bool
  /// Qwen3: an RMS norm on each query and key head, before the rotation.
  public let normalizesQueryAndKey: Bool
  public let rotary: RotaryEmbedding
  /// Positions that a layer looks back, its own included; nil for a layer that sees all. Empty: no layer has one.
  let windows: [Int?]
  /// Every token that ends a text, from config.json and generation_config.json.
  public internal(set) var endTokens: [Int32]
  /// Follows from the above.
  var parameterTable = ParameterTable()

  /// Positions that a layer looks back, its own included; nil is all.
  func slidingWindow(layer: Int) -> Int? { windows.isEmpty ? nil : windows[layer] }

  /// Every tensor of a model of this configuration, in the order of computing: the embedding first.
  ///
  /// A tied head is not among them: it is the embedding.
  public var parameters: [Parameter] { parameterTable.parameters }

  /// Numbers in all tensors.
  public var parameterCount: Int { parameterTable.elementCount }

  /// The parameter that a tensor of this name is, its alias included; nil where the model has no use for it.
  public func parameter(ofTensor name: String) -> Parameter? { parameterTable.byTensor[name].map { parameters[$0] } }

  /// The matrix that adapters of this module change. A tied head is the embedding.
  public func matrix(ofModule name: String) -> Parameter? { parameterTable.byModule[name].map { parameters[$0] } }
}

extension ModelConfig {
  public func hasSameBiasesAndWindows(as other: ModelConfig) -> Bool {
    hasQueryKeyValueBias == other.hasQueryKeyValueBias && hasOutputBias == other.hasOutputBias
      && hasFeedForwardBias == other.hasFeedForwardBias && windows == other.windows
  }

  /// Everything that the forward pass takes from the configuration, as numbers: for fingerprints.
  public var identity: (integers: [Int], reals: [Double]) {
    let sizes = [
      vocabularySize, hiddenSize, layerCount, headCount, keyValueHeadCount, headSize, intermediateSize,
    ]
    let features = [tiesEmbeddings, hasQueryKeyValueBias, hasOutputBias, hasFeedForwardBias, normalizesQueryAndKey]
    return (
      sizes + features.map { $0 ? 1 : 0 } + (0..<layerCount).map { slidingWindow(layer: $0) ?? 0 },
      [Double(normEpsilon)] + rotary.frequencies.map(Double.init)
    )
  }
}
