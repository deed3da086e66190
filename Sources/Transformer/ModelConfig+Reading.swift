public import JSON
public import Platform

extension ModelConfig {
  /// The values of `model_type` that this version computes.
  public static let supportedModelTypes = ["llama", "mistral", "qwen2", "qwen3"]

  /// Bounds that keep every product of sizes far from overflow.
  private enum Limit {
    static let size = 1...(1 << 20)
    static let vocabulary = 1...(1 << 22)
    static let layers = 1...1024
    static let headSize = 2...1024
    /// Angles stay where sine and cosine are exact: the fastest pair turns by 1 a position.
    static let context = 1...(1 << 23)
  }

  /// Reads config.json.
  ///
  /// - Parameters:
  ///   - json: the root of config.json.
  ///   - generation: the root of generation_config.json, where there is one: its end tokens count as well.
  public init(_ json: JSONValue, generation: JSONValue?) throws(BoneSoupError) {
    let type = try json.string("model_type", maxBytes: 64)
    guard Self.supportedModelTypes.contains(type) else {
      throw try json.member("model_type").unsupported(
        "\"\(type)\" is not supported; supported are \(Self.supportedModelTypes.joined(separator: ", "))")
    }
    if let activation = try json.optionalString("hidden_act", maxBytes: 64), activation != "silu" {
      throw try json.member("hidden_act").unsupported(
        "\"\(activation)\" is not supported for \(type); supported is silu")
    }
    if let quantization = try json.optionalMember("quantization_config") {
      throw quantization.unsupported(
        "says that the weights were quantised by another library, which is not supported; use the original weights")
    }
    modelType = type
    vocabularySize = try json.int("vocab_size", in: Limit.vocabulary)
    hiddenSize = try json.int("hidden_size", in: Limit.size)
    layerCount = try json.int("num_hidden_layers", in: Limit.layers)
    headCount = try json.int("num_attention_heads", in: 1...4096)
    keyValueHeadCount = try json.optionalInt("num_key_value_heads", in: 1...4096) ?? headCount
    intermediateSize = try json.int("intermediate_size", in: Limit.size)
    contextLength =
      try json.optionalInt("max_position_embeddings", in: Limit.context) ?? Self.defaultContext(of: type)
    guard headCount % keyValueHeadCount == 0 else {
      throw try json.member("num_key_value_heads").malformed(
        "is \(keyValueHeadCount), which \(headCount) attention heads cannot share evenly")
    }
    if let size = try json.optionalInt("head_dim", in: Limit.headSize) {
      headSize = size
    } else {
      guard hiddenSize % headCount == 0, Limit.headSize.contains(hiddenSize / headCount) else {
        throw json.malformed(
          "has no head_dim, and its hidden_size \(hiddenSize) does not divide into \(headCount) heads")
      }
      headSize = hiddenSize / headCount
    }
    guard headSize % 2 == 0 else {
      throw json.malformed("has heads of an odd size, \(headSize); rotary positions need pairs")
    }
    let epsilon = try json.optionalDouble("rms_norm_eps") ?? 1e-6
    guard epsilon >= 0, epsilon < 1 else {
      throw try json.member("rms_norm_eps").malformed("is \(epsilon), not between 0 and 1")
    }
    normEpsilon = Float(epsilon)
    tiesEmbeddings = try json.optionalBool("tie_word_embeddings") ?? false
    let attentionBias = try json.optionalBool("attention_bias") ?? false
    hasQueryKeyValueBias = type == "qwen2" || attentionBias && type != "mistral"
    hasOutputBias = attentionBias && (type == "llama" || type == "qwen3")
    hasFeedForwardBias = type == "llama" ? try json.optionalBool("mlp_bias") ?? false : false
    normalizesQueryAndKey = type == "qwen3"
    rotary = try Self.rotary(json, headSize: headSize)
    windows = try Self.windows(json, type: type, layerCount: layerCount)
    var ends: [Int32] = []
    for source in [json, generation] {
      for token in try Self.endTokens(source) where !ends.contains(token) { ends.append(token) }
    }
    endTokens = ends
    parameterTable = ParameterTable(self)
  }

  /// What `transformers` assumes where config.json is silent.
  private static func defaultContext(of type: String) -> Int {
    switch type {
    case "mistral": 131_072
    case "qwen2", "qwen3": 32_768
    default: 2048
    }
  }

  /// One number or a list of them.
  private static func endTokens(_ json: JSONValue?) throws(BoneSoupError) -> [Int32] {
    guard let value = try json?.optionalMember("eos_token_id") else { return [] }
    let range = 0...Int(Int32.max)
    guard value.kind == .array else { return [Int32(truncatingIfNeeded: try value.int(in: range))] }
    guard value.count <= 256 else { throw value.malformed("names more than 256 end tokens") }
    var tokens: [Int32] = []
    for element in try value.elements { tokens.append(Int32(truncatingIfNeeded: try element.int(in: range))) }
    return tokens
  }

  /// `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before).
  private static func rotary(_ json: JSONValue, headSize: Int) throws(BoneSoupError) -> RotaryEmbedding {
    let parameters = try json.optionalObject("rope_parameters")
    var scaling = parameters
    if scaling == nil { scaling = try json.optionalObject("rope_scaling") }
    var theta = try json.optionalDouble("rope_theta")
    if let parameters, let own = try parameters.optionalDouble("rope_theta") { theta = own }
    let base = theta ?? 10_000
    guard base >= 1, base < 1e15 else {
      throw json.malformed("has a rope_theta of \(base), which is not between 1 and 1e15")
    }
    for source in [json, parameters] {
      if let share = try source?.optionalDouble("partial_rotary_factor"), share != 1 {
        throw json.unsupported("has a partial_rotary_factor of \(share), which is not supported; supported is 1")
      }
    }
    guard let scaling else { return RotaryEmbedding(headSize: headSize, theta: base, scaling: .none) }
    return RotaryEmbedding(headSize: headSize, theta: base, scaling: try Self.scaling(scaling))
  }

  private static func scaling(_ json: JSONValue) throws(BoneSoupError) -> RotaryEmbedding.Scaling {
    var type = try json.optionalString("rope_type", maxBytes: 64)
    if type == nil { type = try json.optionalString("type", maxBytes: 64) }
    func positive(_ key: String) throws(BoneSoupError) -> Double {
      let value = try json.double(key)
      guard value >= 1e-3, value < 1e9 else {
        throw try json.member(key).malformed("is \(value), not between 0.001 and 1e9")
      }
      return value
    }
    switch type {
    case nil, "default": return .none
    case "linear": return .linear(factor: try positive("factor"))
    case "llama3":
      let low = try positive("low_freq_factor")
      let high = try positive("high_freq_factor")
      guard high > low else {
        throw json.malformed("has a high_freq_factor of \(high), which is not above its low_freq_factor of \(low)")
      }
      return .llama3(
        factor: try positive("factor"), lowFrequencyFactor: low, highFrequencyFactor: high,
        originalContext: try positive("original_max_position_embeddings"))
    case let other?:
      throw json.unsupported(
        "has the rope type \"\(other)\", which is not supported; supported are default, linear, llama3")
    }
  }

  /// Sliding windows by layer: `layer_types` says which layers have one; before it there were rules by architecture.
  private static func windows(_ json: JSONValue, type: String, layerCount: Int) throws(BoneSoupError) -> [Int?] {
    guard type != "llama", let window = try json.optionalInt("sliding_window", in: Limit.context) else { return [] }
    if type != "mistral", try json.optionalBool("use_sliding_window") != true { return [] }
    if let types = try json.optionalArray("layer_types") {
      guard types.count == layerCount else {
        throw types.malformed("has \(types.count) entries for \(layerCount) layers")
      }
      var windows: [Int?] = []
      for element in try types.elements {
        switch try element.text(maxBytes: 64) {
        case "full_attention": windows.append(nil)
        case "sliding_attention": windows.append(window)
        case let other:
          throw element.unsupported("\"\(other)\" is not supported; supported are full_attention, sliding_attention")
        }
      }
      return windows
    }
    let first = type == "mistral" ? 0 : try json.optionalInt("max_window_layers", in: 0...1 << 20) ?? 28
    return (0..<layerCount).map { $0 >= first ? window : nil }
  }
}
