import Checkpoints
import Kernels
import Platform
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
  let format: WeightFormat
  let engine: Engine
  /// Whose threads do the work: the engine's, or for a fold in the background a pool of its own.
  let pool: ThreadPool
  /// nil is the plain sum.
  var method: BlendMethod?
  /// What a method merges a tensor into: room for the largest.
  private(set) var merged: Buffer?

  /// Columns at a time, so that the sums of a panel's rows stay in the second-level cache.
  private static let stretchLength = 1024

  /// Bytes of the result.
  static func byteCount(
    _ config: ModelConfig, _ backbones: [Backbone], _ coefficients: [Double], format: WeightFormat, kernels: Kernels
  ) -> Int {
    func bytes(_ parameter: Parameter) -> Int {
      guard parameter.isMatrix else { return parameter.elementCount * 4 }
      return kernels.matrixBytes(
        parameter.isEnd ? format.ofEnds : format, rows: parameter.shape[0], columns: parameter.shape[1])
    }
    let head = untiesHead(config, backbones, coefficients) ? config.parameters.first.map(bytes) ?? 0 : 0
    return config.parameters.reduce(head) { $0 + bytes($1) }
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
    if method != nil, merged == nil {
      var fold = self
      fold.merged = try Buffer(
        of: Float.self, count: Self.largestCount(base.config), allocator: engine.allocator, purpose: "a merged tensor")
      return try fold.run(monitor: monitor)
    }
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
      let buffer = try vector(parameter, monitor: monitor)
      try finish(parameter)
      return VectorWeight(buffer, count: parameter.elementCount)
    }
  }

  /// - Parameter module: whose adapters are added; nil for a vector.
  private func terms(
    _ parameter: Parameter, module: String?, monitor: Monitor
  ) throws(BoneSoupError) -> [FoldTerm] {
    if let method, let merged, coefficients.contains(where: { $0 != 0 }) {
      let tensor = try merge(parameter, module: module, by: method, into: merged, monitor: monitor)
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

  private func vector(_ parameter: Parameter, monitor: Monitor) throws(BoneSoupError) -> Buffer {
    let result = try Buffer(
      of: Float.self, count: parameter.elementCount, allocator: engine.allocator,
      purpose: "the folded \(parameter.name)")
    let whole = 0..<parameter.elementCount
    if let direct = try directMerge(parameter, module: nil, monitor: monitor) {
      direct.compute(whole, kernels: engine.kernels, into: result.elements())
      return result
    }
    FoldSum(try terms(parameter, module: nil, monitor: monitor)).compute(
      row: 0, stretch: whole, kernels: engine.kernels, into: result.elements())
    return result
  }

  /// A matrix in panels. Where no budget limits the engine, the files' pages stay mapped for the next fold: mapping them takes
  /// longer than the fold.
  private func matrix(_ parameter: Parameter, module: String, monitor: Monitor) throws(BoneSoupError) -> Weight {
    let (rows, columns) = (parameter.shape[0], parameter.shape[1])
    let format = parameter.isEnd ? format.ofEnds : format
    let direct = try directMerge(parameter, module: module, monitor: monitor)
    let sum = FoldSum(direct == nil ? try terms(parameter, module: module, monitor: monitor) : [])
    let panels = try Weight.makePanels(
      rows: rows, columns: columns, format: format, engine: engine, purpose: "the folded \(parameter.name)")
    let weight = Weight(rows: rows, columns: columns, format: format, panels: panels, kernels: engine.kernels)
    let kernels = engine.kernels
    if let direct {
      try packRows(into: panels, of: weight, purpose: parameter.name, monitor: monitor) { row, stretch, out in
        let start = row * columns
        direct.compute(start + stretch.lowerBound..<start + stretch.upperBound, kernels: kernels, into: out)
      }
    } else if let type = sum.commonType {
      try weight.pack(sum.mergeTerms, type: type, into: panels, kernels: kernels, pool: pool, monitor: monitor)
    } else {
      try packRows(into: panels, of: weight, purpose: parameter.name, monitor: monitor) { row, stretch, out in
        sum.compute(row: row, stretch: stretch, kernels: kernels, into: out)
      }
    }
    if engine.allocator.limit != nil { sum.dropBehind() }
    return weight
  }

  /// A panel's rows, a stretch of columns at a time, are packed while they are in the cache.
  private func packRows(
    into panels: Buffer, of weight: Weight, purpose: String, monitor: Monitor,
    _ compute: @Sendable (_ row: Int, _ stretch: Range<Int>, _ out: UnsafeMutablePointer<Float>) -> Void
  ) throws(BoneSoupError) {
    let (columns, kernels) = (weight.columns, engine.kernels)
    let width = min(columns, Self.stretchLength)
    let scratchCount = Kernels.panelRows * width
    let scratch = try Buffer(
      of: Float.self, count: scratchCount * pool.threadCount, allocator: engine.allocator,
      purpose: "the sums of \(purpose)")
    try weight.eachRun(of: pool, monitor: monitor) { run, slot in
      let sums = scratch.elements(Float.self) + slot * scratchCount
      for panel in run {
        let range = weight.rows(ofPanel: panel)
        for start in stride(from: 0, to: columns, by: width) {
          let stretch = start..<min(start + width, columns)
          for row in range {
            compute(row, stretch, sums + (row - range.lowerBound) * stretch.count)
          }
          kernels.packRows(
            weight.format, type: .f32, rows: sums, ld: stretch.count, count: range.count, columns: columns,
            range: stretch, streams: true, into: panels.pointer + panel * weight.panelBytes)
        }
      }
    }
  }
}
