public import Platform
import Synchronization

/// All weights of one model in run-time form. Immutable; shared by whoever computes with it.
public final class ModelWeights: Sendable {
  public let config: ModelConfig
  public let embedding: Weight
  public let layers: [LayerWeights]
  public let finalNorm: VectorWeight
  /// The output matrix [vocabulary × hidden]: the embedding itself where tied.
  public let head: Weight
  /// Whether a forward pass went through these weights before.
  private let isUsed = Atomic<Bool>(false)

  /// Collects the weights from functions that make each parameter.
  ///
  /// - Parameters:
  ///   - untiedHead: the head of a model whose head is tied by its configuration and yet differs, as when an adapter
  ///     changes one end alone.
  public init(
    _ config: ModelConfig, untiedHead: Weight? = nil,
    matrix: (Parameter) throws(BoneSoupError) -> Weight,
    vector: (Parameter) throws(BoneSoupError) -> VectorWeight
  ) throws(BoneSoupError) {
    var matrices: [ParameterRole: Weight] = [:]
    var vectors: [ParameterRole: VectorWeight] = [:]
    for parameter in config.parameters {
      if parameter.isMatrix {
        matrices[parameter.role] = try matrix(parameter)
      } else {
        vectors[parameter.role] = try vector(parameter)
      }
    }
    func missing(_ role: ParameterRole) -> BoneSoupError { .internalFault("no weights were made for \(role)") }
    func matrixOf(_ role: ParameterRole) throws(BoneSoupError) -> Weight {
      guard let weight = matrices[role] else { throw missing(role) }
      return weight
    }
    func vectorOf(_ role: ParameterRole) throws(BoneSoupError) -> VectorWeight {
      guard let weight = vectors[role] else { throw missing(role) }
      return weight
    }
    self.config = config
    embedding = try matrixOf(.embedding)
    finalNorm = try vectorOf(.finalNorm)
    head = if let untiedHead { untiedHead } else { try matrixOf(config.tiesEmbeddings ? .embedding : .head) }
    var layers: [LayerWeights] = []
    for layer in 0..<config.layerCount {
      func linear(_ role: LinearRole) throws(BoneSoupError) -> Linear {
        Linear(weight: try matrixOf(.linear(layer: layer, role)), bias: vectors[.bias(layer: layer, role)])
      }
      layers.append(
        LayerWeights(
          inputNorm: try vectorOf(.inputNorm(layer: layer)),
          query: try linear(.query), key: try linear(.key), value: try linear(.value), output: try linear(.output),
          queryNorm: vectors[.queryNorm(layer: layer)], keyNorm: vectors[.keyNorm(layer: layer)],
          postAttentionNorm: try vectorOf(.postAttentionNorm(layer: layer)),
          gate: try linear(.gate), up: try linear(.up), down: try linear(.down)))
    }
    self.layers = layers
  }

  /// Whether this forward pass is to make panels of matrices that still lie in their files: one of many rows, which wins
  /// the time back at once, or any but the first, which somebody waits for.
  func packs(rows: Int) -> Bool {
    let isFirst = !isUsed.exchange(true, ordering: .relaxed)
    return rows >= Self.manyRows || !isFirst
  }

  private static let manyRows = 32

  /// Bytes of the matrices, mapped ones included, a tied head once.
  public var byteCount: Int {
    var total = embedding.byteCount
    if !head.isSame(as: embedding) { total += head.byteCount }
    for layer in layers {
      for linear in [layer.query, layer.key, layer.value, layer.output, layer.gate, layer.up, layer.down] {
        total += linear.weight.byteCount
      }
    }
    return total
  }
}

/// The weights of one decoder block.
public struct LayerWeights: Sendable {
  public let inputNorm: VectorWeight
  public let query: Linear
  public let key: Linear
  public let value: Linear
  public let output: Linear
  public let queryNorm: VectorWeight?
  public let keyNorm: VectorWeight?
  public let postAttentionNorm: VectorWeight
  public let gate: Linear
  public let up: Linear
  public let down: Linear
}
