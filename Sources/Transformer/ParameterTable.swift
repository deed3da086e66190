/// The tensors of a model, listed once, and found by the names that files and adapters give them.
///
/// A few thousand at most: a configuration has at most 1024 layers.
struct ParameterTable: Sendable, Equatable {
  private(set) var parameters: [Parameter] = []
  /// Places in `parameters` by the tensor's name or alias.
  private(set) var byTensor: [String: Int] = [:]
  /// Places of matrices by the module's name; both ends of a tied embedding are the embedding.
  private(set) var byModule: [String: Int] = [:]
  /// Numbers in all tensors.
  private(set) var elementCount = 0

  init() {}

  init(_ config: ModelConfig) {
    let hidden = config.hiddenSize
    let embedding = [config.vocabularySize, hidden]
    add(.embedding, "model.embed_tokens", embedding, alias: config.tiesEmbeddings ? "lm_head" : nil)
    for layer in 0..<config.layerCount {
      let block = "model.layers.\(layer)"
      add(.inputNorm(layer: layer), "\(block).input_layernorm", [hidden])
      for role in LinearRole.allCases {
        let shape = config.shape(of: role)
        let module = "\(block).\(role.module)"
        add(.linear(layer: layer, role), module, [shape.outputs, shape.inputs])
        if config.hasBias(role) { add(.bias(layer: layer, role), module, [shape.outputs], suffix: "bias") }
      }
      if config.normalizesQueryAndKey {
        add(.queryNorm(layer: layer), "\(block).self_attn.q_norm", [config.headSize])
        add(.keyNorm(layer: layer), "\(block).self_attn.k_norm", [config.headSize])
      }
      add(.postAttentionNorm(layer: layer), "\(block).post_attention_layernorm", [hidden])
    }
    add(.finalNorm, "model.norm", [hidden])
    if !config.tiesEmbeddings { add(.head, "lm_head", embedding) }
  }

  private mutating func add(
    _ role: ParameterRole, _ module: String, _ shape: [Int], suffix: String = "weight", alias: String? = nil
  ) {
    let parameter = Parameter(
      role: role, name: "\(module).\(suffix)", alias: alias.map { "\($0).\(suffix)" }, module: module, shape: shape)
    for module in [module, alias].compactMap({ $0 }) {
      byTensor["\(module).\(suffix)"] = parameters.count
      if parameter.isMatrix { byModule[module] = parameters.count }
    }
    parameters.append(parameter)
    elementCount += parameter.elementCount
  }
}
