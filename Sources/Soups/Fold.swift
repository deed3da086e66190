import Checkpoints
import Kernels
import Platform
import Synchronization
import Transformer

/// W(λ) = c₀θ₀ + Σ_full λᵢθᵢ + Σ_LoRA λᵢsᵢUᵢDᵢ, tensor by tensor, from the files into run-time weights.
///
/// f32 accumulation, base first and then the backbones in order; the first term initialises, terms with coefficient 0
/// are not read, one rounding at the end. So one-hot coefficients give a full backbone back bit for bit.
struct Fold: Sendable {
  let base: BaseModel
  let backbones: [Backbone]
  let coefficients: [Double]
  let baseShare: Double
  let type: ElementType
  let engine: Engine
  /// Whose threads do the work: the engine's, or for a fold in the background a pool of its own.
  let pool: ThreadPool
  /// nil is the plain sum.
  var method: BlendMethod?

  /// Numbers of a part: small enough to answer a cancel soon and to even out the threads.
  private static let partSize = 1 << 18
  /// Numbers that stay in the first-level cache while all terms are added.
  private static let stretchLength = 2048

  /// Bytes of the result.
  static func byteCount(
    _ config: ModelConfig, _ backbones: [Backbone], _ coefficients: [Double], type: ElementType
  ) -> Int {
    let head = untiesHead(config, backbones, coefficients) ? config.parameters.first?.elementCount ?? 0 : 0
    return config.parameters.reduce(head * type.byteCount) {
      $0 + $1.elementCount * ($1.isMatrix ? type.byteCount : 4)
    }
  }

  /// The adapters' modules at the two ends of the model, where a tied pair can come apart.
  private static let endModules: Set = ["model.embed_tokens", "lm_head"]

  /// Whether a tied model's two ends differ after this fold.
  private static func untiesHead(
    _ config: ModelConfig, _ backbones: [Backbone], _ coefficients: [Double]
  ) -> Bool {
    config.tiesEmbeddings
      && zip(backbones, coefficients).contains { backbone, coefficient in
        coefficient != 0
          && backbone.adapter?.modules.contains { endModules.contains($0.name) } ?? false
      }
  }

  func run(monitor: Monitor) throws(BoneSoupError) -> ModelWeights {
    let total = Double(max(base.config.parameterCount, 1))
    var done = 0
    func finish(_ parameter: Parameter) throws(BoneSoupError) {
      done += parameter.elementCount
      try monitor.report(min(1, Double(done) / total))
    }
    var head: Weight?
    if Self.untiesHead(base.config, backbones, coefficients), let embedding = base.config.parameters.first {
      head = try matrix(embedding, module: "lm_head", monitor: monitor)
    }
    return try ModelWeights(base.config, untiedHead: head) { (parameter) throws(BoneSoupError) in
      let weight = try matrix(parameter, module: parameter.module, monitor: monitor)
      try finish(parameter)
      return weight
    } vector: { (parameter) throws(BoneSoupError) in
      let buffer = try fold(parameter, module: nil, type: .f32, monitor: monitor)
      try finish(parameter)
      return VectorWeight(buffer, count: parameter.elementCount)
    }
  }

  private func matrix(_ parameter: Parameter, module: String, monitor: Monitor) throws(BoneSoupError) -> Weight {
    let buffer = try fold(parameter, module: module, type: type, monitor: monitor)
    return Weight(
      rows: parameter.shape[0], columns: parameter.shape[1], type: type, pointer: buffer.pointer, owner: buffer)
  }

  /// - Parameter module: whose adapters are added; nil for a vector.
  private func terms(
    _ parameter: Parameter, module: String?, monitor: Monitor
  ) throws(BoneSoupError) -> [FoldTerm] {
    if let method, coefficients.contains(where: { $0 != 0 }) {
      let tensor = try merged(parameter, module: module, by: method, monitor: monitor)
      return [try FoldTerm(tensor, coefficient: 1)]
    }
    var terms: [FoldTerm] = []
    if baseShare != 0 {
      terms.append(try FoldTerm(try base.checkpoint.tensor(of: parameter), coefficient: baseShare))
    }
    for (backbone, coefficient) in zip(backbones, coefficients) where coefficient != 0 {
      switch backbone.content {
      case .full(let checkpoint):
        terms.append(try FoldTerm(try checkpoint.tensor(of: parameter), coefficient: coefficient))
      case .lowRank(let adapter):
        for adapted in adapter.modules where adapted.name == module {
          terms.append(
            try FoldTerm(adapted, coefficient: coefficient, columns: parameter.shape[1], engine: engine))
        }
      }
    }
    return terms
  }

  private func fold(
    _ parameter: Parameter, module: String?, type: ElementType, monitor: Monitor
  ) throws(BoneSoupError) -> Buffer {
    let rows = parameter.isMatrix ? parameter.shape[0] : 1
    let columns = parameter.isMatrix ? parameter.shape[1] : parameter.elementCount
    let terms = try terms(parameter, module: module, monitor: monitor)
    let result = try Buffer(
      byteCount: rows * columns * type.byteCount, allocator: engine.allocator, purpose: "the folded \(parameter.name)")
    let kernels = engine.kernels
    let rowsPerPart = max(1, Self.partSize / columns)
    pool.run(parts: (rows + rowsPerPart - 1) / rowsPerPart) { part in
      if monitor.isCancelled { return }
      withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.stretchLength) { accumulator in
        guard let accumulator = accumulator.baseAddress else { return }
        for row in part * rowsPerPart..<min((part + 1) * rowsPerPart, rows) {
          for start in stride(from: 0, to: columns, by: Self.stretchLength) {
            let stretch = start..<min(start + Self.stretchLength, columns)
            if terms.isEmpty { accumulator.update(repeating: 0, count: stretch.count) }
            for (index, term) in terms.enumerated() {
              term.add(row: row, stretch: stretch, isFirst: index == 0, kernels: kernels, into: accumulator)
            }
            kernels.narrow(
              source: accumulator, type: type, count: stretch.count,
              into: result.pointer + (row * columns + start) * type.byteCount)
          }
        }
      }
    }
    try monitor.check()
    return result
  }
}
