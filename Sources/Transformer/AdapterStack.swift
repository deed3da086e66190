public import Checkpoints
public import Kernels
public import Platform

/// The LoRA adapters of all backbones for one linear layer, stacked so that one pass serves them all:
/// y += U·(g ∘ (D·x)) with D [ranks × in], U [out × ranks] and a gain for each rank.
public struct AdapterStack: Sendable {
  /// The ranks of one backbone: `start ..< start + count`, all with gain λ · scale.
  struct Segment: Sendable {
    let backbone: Int
    let start: Int
    let count: Int
    let scale: Double
  }

  /// In the format of adapters beside the base's weights.
  let up: Weight
  let segments: [Segment]
  private let down: Down

  private enum Down: Sendable {
    case linear(Weight)
    /// Of an embedding, where a token reads one column: [inputs × ranks] in f32.
    case embedding(Buffer)
  }

  var rank: Int { up.columns }
  /// D; nil of an embedding.
  var linearDown: Weight? {
    if case .linear(let weight) = down { weight } else { nil }
  }

  /// - Parameter modules: each backbone's adapter of this layer, by backbone number.
  init(
    _ modules: [(backbone: Int, module: AdapterModule)], outputs: Int, inputs: Int, format: WeightFormat,
    isEmbedding: Bool, engine: Engine
  ) throws(BoneSoupError) {
    var segments: [Segment] = []
    var rank = 0
    for (backbone, module) in modules {
      segments.append(Segment(backbone: backbone, start: rank, count: module.rank, scale: module.scale))
      rank += module.rank
    }
    self.segments = segments
    // D of all adapters, row below row, and U, side by side.
    let allocator = engine.allocator
    let kernels = engine.kernels
    let down = try Buffer(
      of: Float.self, count: rank * inputs, allocator: allocator, purpose: "the adapters' D")
    let up = try Buffer(of: Float.self, count: outputs * rank, allocator: allocator, purpose: "the adapters' U")
    for (segment, (_, module)) in zip(segments, modules) {
      let downStart = try module.down.start()
      let upStart = try module.up.start()
      let size = module.up.type.byteCount
      kernels.widen(
        type: module.down.type, source: downStart, count: segment.count * inputs,
        into: down.elements(Float.self) + segment.start * inputs)
      for output in 0..<outputs {
        kernels.widen(
          type: module.up.type, source: upStart + output * segment.count * size, count: segment.count,
          into: up.elements(Float.self) + output * rank + segment.start)
      }
    }
    self.up = try Weight(
      up.elements(), rows: outputs, columns: rank, format: format, engine: engine, purpose: "the adapters' U")
    if isEmbedding {
      let turned = try Buffer(
        of: Float.self, count: rank * inputs, allocator: allocator, purpose: "the adapters of the embedding")
      let (source, target) = (down.elements(Float.self), turned.elements(Float.self))
      for row in 0..<rank {
        for column in 0..<inputs { target[column * rank + row] = source[row * inputs + column] }
      }
      self.down = .embedding(turned)
    } else {
      let weight = try Weight(
        down.elements(), rows: rank, columns: inputs, format: format, engine: engine, purpose: "the adapters' D")
      self.down = .linear(weight)
    }
  }

  /// D's column of a token, of an embedding's adapters.
  func copyDown(token: Int, into ranks: UnsafeMutablePointer<Float>) {
    guard case .embedding(let buffer) = down else { return }
    ranks.update(from: buffer.elements(Float.self) + token * rank, count: rank)
  }

  /// What each rank of D·x is multiplied by.
  func write(_ gains: LiveGains, layer: Int?, into factors: UnsafeMutablePointer<Float>) {
    for segment in segments {
      let gain = Float(gains.gain(backbone: segment.backbone, layer: layer) * segment.scale)
      (factors + segment.start).update(repeating: gain, count: segment.count)
    }
  }
}

/// All adapters of a soup, stacked for live blends.
public final class AdapterSet: Sendable {
  /// [layer][linear role].
  private let linears: [[AdapterStack?]]
  let head: AdapterStack?
  let embedding: AdapterStack?
  /// The most ranks that one step of the forward pass needs for a row.
  let maximumRank: Int
  public let byteCount: Int

  /// - Parameters:
  ///   - adapters: the low-rank backbones, by backbone number.
  ///   - format: of the weights that they stand beside.
  public init(
    _ adapters: [(backbone: Int, adapter: Adapter)], config: ModelConfig, format: WeightFormat, engine: Engine,
    monitor: Monitor
  ) throws(BoneSoupError) {
    var byModule: [String: [(backbone: Int, module: AdapterModule)]] = [:]
    for (backbone, adapter) in adapters {
      for module in adapter.modules { byModule[module.name, default: []].append((backbone, module)) }
    }
    let format = format.ofAdapters
    func stack(_ name: String, _ outputs: Int, _ inputs: Int, isEmbedding: Bool = false) throws(BoneSoupError)
      -> AdapterStack?
    {
      guard let modules = byModule[name] else { return nil }
      try monitor.check()
      return try AdapterStack(
        modules, outputs: outputs, inputs: inputs, format: format, isEmbedding: isEmbedding, engine: engine)
    }
    embedding = try stack(
      "model.embed_tokens", config.hiddenSize, config.vocabularySize, isEmbedding: true)
    var linears: [[AdapterStack?]] = []
    var widest = embedding?.rank ?? 0
    for layer in 0..<config.layerCount {
      var roles: [AdapterStack?] = []
      for role in LinearRole.allCases {
        let shape = config.shape(of: role)
        roles.append(try stack("model.layers.\(layer).\(role.module)", shape.outputs, shape.inputs))
      }
      linears.append(roles)
      widest = max(widest, roles.reduce(0) { $0 + ($1?.rank ?? 0) })
    }
    self.linears = linears
    head = try stack("lm_head", config.vocabularySize, config.hiddenSize)
    maximumRank = max(widest, head?.rank ?? 0)
    byteCount = Self.byteCount(adapters, config: config, format: format, kernels: engine.kernels)
  }

  /// Bytes of the set that these adapters would make.
  public static func byteCount(
    _ adapters: [(backbone: Int, adapter: Adapter)], config: ModelConfig, format: WeightFormat, kernels: Kernels
  ) -> Int {
    let format = format.ofAdapters
    var ranks: [String: (rank: Int, module: AdapterModule)] = [:]
    for (_, adapter) in adapters {
      for module in adapter.modules {
        ranks[module.name] = (module.rank + (ranks[module.name]?.rank ?? 0), module)
      }
    }
    return ranks.values.reduce(0) { sum, entry in
      let outputs = entry.module.up.shape.first ?? 0
      let inputs = entry.module.down.shape.last ?? 0
      let up = kernels.matrixBytes(format, rows: outputs, columns: entry.rank)
      return sum + up
        + (entry.module.kind == .embedding
          ? inputs * entry.rank * 4 : kernels.matrixBytes(format, rows: entry.rank, columns: inputs))
    }
  }

  func linear(layer: Int, _ role: LinearRole) -> AdapterStack? { linears[layer][role.rawValue] }
}

extension TensorView {
  /// The first element of a tensor that was checked to have some.
  public func start() throws(BoneSoupError) -> UnsafeRawPointer {
    guard let start = bytes.baseAddress else { throw .malformed("\(file): the tensor \(name) is empty") }
    return start
  }
}
