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
public struct Parameter: Sendable, Equatable {
  public let role: ParameterRole
  /// The tensor's name in the file.
  public let name: String
  /// Another name that some files give to the same tensor: the two ends of a tied embedding.
  public let alias: String?
  /// The module that an adapter calls it by: the name without `.weight`.
  public let module: String
  /// [out × in] of a matrix, [count] of a vector.
  public let shape: [Int]

  /// Whether it is the embedding or the head.
  public var isEnd: Bool { role == .embedding || role == .head }
  public var isMatrix: Bool { shape.count == 2 }
  public var elementCount: Int { shape.reduce(1, *) }
}

extension ModelConfig {
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
