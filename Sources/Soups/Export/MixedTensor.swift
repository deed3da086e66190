import Transformer

/// One tensor of a blend as a file has it.
struct MixedTensor: Sendable {
  /// In the file that is written.
  let name: String
  /// Whose adapters are added; nil for a vector.
  let module: String?
  /// The tensor of the base and the full backbones that it comes from.
  let source: Parameter
  /// Of the block that it stands in; nil outside the blocks.
  let layer: Int?

  init(_ parameter: Parameter) {
    name = parameter.name
    module = parameter.isMatrix ? parameter.module : nil
    source = parameter
    layer = parameter.role.layer
  }

  /// The head of a tied model whose two ends come apart: it starts from the embedding.
  init(headFrom embedding: Parameter) {
    name = "lm_head.weight"
    module = "lm_head"
    source = embedding
    layer = nil
  }

  var rows: Int { source.isMatrix ? source.shape[0] : 1 }
  var columns: Int { source.isMatrix ? source.shape[1] : source.elementCount }
  var shape: [Int] { source.shape }
}

extension ParameterRole {
  /// The number of the block; nil outside the blocks.
  var layer: Int? {
    switch self {
    case .embedding, .finalNorm, .head: nil
    case .inputNorm(let layer), .postAttentionNorm(let layer), .queryNorm(let layer), .keyNorm(let layer),
      .linear(let layer, _), .bias(let layer, _):
      layer
    }
  }
}
