public import Checkpoints
import Kernels
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

  let down: Weight
  let up: Weight
  let segments: [Segment]

  /// Not `down.rows`: D may be transposed.
  var rank: Int { up.columns }

  /// - Parameters:
  ///   - modules: each backbone's adapter of this layer, by backbone number.
  ///   - transposesDown: keeps D as [in × ranks]: an embedding reads one column for a token.
  init(
    _ modules: [(backbone: Int, module: AdapterModule)], outputs: Int, inputs: Int, type: ElementType,
    transposesDown: Bool, engine: Engine
  ) throws(BoneSoupError) {
    var segments: [Segment] = []
    var rank = 0
    for (backbone, module) in modules {
      segments.append(Segment(backbone: backbone, start: rank, count: module.rank, scale: module.scale))
      rank += module.rank
    }
    let allocator = engine.allocator
    let kernels = engine.kernels
    let down = try Buffer(
      of: UInt8.self, count: rank * inputs * type.byteCount, allocator: allocator, purpose: "the adapters' D")
    let up = try Buffer(
      of: UInt8.self, count: outputs * rank * type.byteCount, allocator: allocator, purpose: "the adapters' U")
    let row = try Buffer(
      of: Float.self, count: max(inputs, rank), allocator: allocator, purpose: "a row of an adapter")
    let values = row.elements(Float.self)
    for (segment, (_, module)) in zip(segments, modules) {
      let downType = module.down.type
      let downStart = try module.down.start()
      for index in 0..<segment.count {
        kernels.widen(
          type: downType, source: downStart + index * inputs * downType.byteCount, count: inputs, into: values)
        if transposesDown {
          for column in 0..<inputs {
            kernels.narrow(
              source: values + column, type: type, count: 1,
              into: down.pointer + (column * rank + segment.start + index) * type.byteCount)
          }
        } else {
          kernels.narrow(
            source: values, type: type, count: inputs,
            into: down.pointer + (segment.start + index) * inputs * type.byteCount)
        }
      }
      let upType = module.up.type
      let upStart = try module.up.start()
      for output in 0..<outputs {
        kernels.widen(
          type: upType, source: upStart + output * segment.count * upType.byteCount, count: segment.count, into: values)
        kernels.narrow(
          source: values, type: type, count: segment.count,
          into: up.pointer + (output * rank + segment.start) * type.byteCount)
      }
    }
    self.segments = segments
    self.down =
      transposesDown
      ? Weight(rows: inputs, columns: rank, type: type, pointer: down.pointer, owner: down)
      : Weight(rows: rank, columns: inputs, type: type, pointer: down.pointer, owner: down)
    self.up = Weight(rows: outputs, columns: rank, type: type, pointer: up.pointer, owner: up)
  }

  /// Multiplies one row's D·x by its gains, in place. A rank with gain 0 becomes 0 whatever it held.
  ///
  /// - Returns: whether any gain differs from 0.
  func apply(_ gains: LiveGains, layer: Int?, to ranks: UnsafeMutablePointer<Float>) -> Bool {
    var any = false
    for segment in segments {
      let gain = Float(gains.gain(backbone: segment.backbone, layer: layer) * segment.scale)
      if gain == 0 {
        for index in 0..<segment.count { ranks[segment.start + index] = 0 }
      } else {
        any = true
        for index in 0..<segment.count { ranks[segment.start + index] *= gain }
      }
    }
    return any
  }
}

/// All adapters of a soup, stacked for live blends.
public final class AdapterSet: Sendable {
  /// [layer][linear role].
  private let linears: [[AdapterStack?]]
  let head: AdapterStack?
  /// D is [vocabulary × ranks] here.
  let embedding: AdapterStack?
  /// The most ranks that one step of the forward pass needs for a row.
  let maximumRank: Int
  public let byteCount: Int

  /// - Parameter adapters: the low-rank backbones, by backbone number.
  public init(
    _ adapters: [(backbone: Int, adapter: Adapter)], config: ModelConfig, type: ElementType, engine: Engine,
    monitor: Monitor
  ) throws(BoneSoupError) {
    var byModule: [String: [(backbone: Int, module: AdapterModule)]] = [:]
    for (backbone, adapter) in adapters {
      for module in adapter.modules { byModule[module.name, default: []].append((backbone, module)) }
    }
    var bytes = 0
    func stack(_ name: String, _ outputs: Int, _ inputs: Int, transposesDown: Bool = false) throws(BoneSoupError)
      -> AdapterStack?
    {
      guard let modules = byModule[name] else { return nil }
      try monitor.check()
      let stack = try AdapterStack(
        modules, outputs: outputs, inputs: inputs, type: type, transposesDown: transposesDown, engine: engine)
      bytes += stack.down.byteCount + stack.up.byteCount
      return stack
    }
    embedding = try stack(
      "model.embed_tokens", config.hiddenSize, config.vocabularySize, transposesDown: true)
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
    byteCount = bytes
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
