/// Where a parameter stands in the model.
public enum ParameterRole: Sendable, Hashable {
  case embedding, finalNorm, head
  case inputNorm(layer: Int), postAttentionNorm(layer: Int)
  case queryNorm(layer: Int), keyNorm(layer: Int)
  case linear(layer: Int, LinearRole), bias(layer: Int, LinearRole)
}

/// The linear layers of one block, in the order in which they are computed.
public enum LinearRole: Int, Sendable, Hashable, CaseIterable {
  case query, key, value, output, gate, up, down

  /// The module's name inside `model.layers.N`, as Hugging Face spells it.
  public var module: String {
    switch self {
    case .query: "self_attn.q_proj"
    case .key: "self_attn.k_proj"
    case .value: "self_attn.v_proj"
    case .output: "self_attn.o_proj"
    case .gate: "mlp.gate_proj"
    case .up: "mlp.up_proj"
    case .down: "mlp.down_proj"
    }
  }
}

/// One tensor of a checkpoint that the model needs.
public struct Parameter: Sendable {
  public let role: ParameterRole
  /// The tensor's name in the file.
  public let name: String
  /// Another name that some files give to the same tensor: the two ends of a tied embedding.
  public let alias: String?
  /// The module that an adapter calls it by: the name without `.weight`.
  public let module: String
  /// [out × in] of a matrix, [count] of a vector.
  public let shape: [Int]

  public var isMatrix: Bool { shape.count == 2 }
  public var elementCount: Int { shape.reduce(1, *) }
}

extension ModelConfig {
  /// Every tensor of a model of this configuration, in the order of computing.
  ///
  /// A tied head is not among them: it is the embedding.
  public var parameters: [Parameter] {
    var list: [Parameter] = []
    func add(_ role: ParameterRole, _ module: String, _ shape: [Int], suffix: String = "weight", alias: String? = nil) {
      list.append(
        Parameter(role: role, name: "\(module).\(suffix)", alias: alias, module: module, shape: shape))
    }
    add(
      .embedding, "model.embed_tokens", [vocabularySize, hiddenSize],
      alias: tiesEmbeddings ? "lm_head.weight" : nil)
    for layer in 0..<layerCount {
      let block = "model.layers.\(layer)"
      add(.inputNorm(layer: layer), "\(block).input_layernorm", [hiddenSize])
      for role in LinearRole.allCases {
        let shape = shape(of: role)
        add(.linear(layer: layer, role), "\(block).\(role.module)", [shape.outputs, shape.inputs])
        if hasBias(role) { add(.bias(layer: layer, role), "\(block).\(role.module)", [shape.outputs], suffix: "bias") }
      }
      if normalizesQueryAndKey {
        add(.queryNorm(layer: layer), "\(block).self_attn.q_norm", [headSize])
        add(.keyNorm(layer: layer), "\(block).self_attn.k_norm", [headSize])
      }
      add(.postAttentionNorm(layer: layer), "\(block).post_attention_layernorm", [hiddenSize])
    }
    add(.finalNorm, "model.norm", [hiddenSize])
    if !tiesEmbeddings { add(.head, "lm_head", [vocabularySize, hiddenSize]) }
    return list
  }

  /// Numbers in and out of a linear layer.
  public func shape(of role: LinearRole) -> (outputs: Int, inputs: Int) {
    switch role {
    case .query: (headCount * headSize, hiddenSize)
    case .key, .value: (keyValueHeadCount * headSize, hiddenSize)
    case .output: (hiddenSize, headCount * headSize)
    case .gate, .up: (intermediateSize, hiddenSize)
    case .down: (hiddenSize, intermediateSize)
    }
  }

  func hasBias(_ role: LinearRole) -> Bool {
    switch role {
    case .query, .key, .value: hasQueryKeyValueBias
    case .output: hasOutputBias
    case .gate, .up, .down: hasFeedForwardBias
    }
  }
}
