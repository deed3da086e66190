import Checkpoints
import Kernels
import Platform
import Transformer

/// Writes a blend of low-rank backbones as one PEFT adapter: ranks one after another, λᵢsᵢ in U, so that the adapter's
/// product is exactly the blend's change of the base; or recompressed to fewer ranks.
struct AdapterExport {
  /// One module of the adapter, and what it is joined from.
  private struct Joined {
    let tensor: MixedTensor
    let module: String
    let kind: AdapterModule.Kind
    let sources: [(module: AdapterModule, coefficient: Double)]
    var rank: Int { sources.reduce(0) { $0 + $1.module.rank } }
  }

  let point: BlendPoint
  let options: ExportOptions
  private let mix: WeightMix
  private let modules: [Joined]
  private let type: ElementType
  /// Of every module.
  let rank: Int

  /// What vLLM takes as `max_lora_rank`, 1 left out.
  static let ranks = [8, 16, 32, 64, 128, 256, 320, 512]

  init(_ point: BlendPoint, _ options: ExportOptions) throws(BoneSoupError) {
    self.point = point
    self.options = options
    mix = point.mix
    if let method = mix.method {
      throw .unsupported(
        "this blend is made by \(method.name), and an adapter holds a sum of the backbones; export a folder, or make the "
          + "blend by linear")
    }
    for (index, backbone) in mix.backbones.enumerated() where backbone.isFull && mix.coefficients[index] != 0 {
      throw .unsupported(
        "backbone \(index) (\(excerpt(backbone.path))) is a full checkpoint with coefficient "
          + "\(mix.coefficients[index]), which no adapter holds exactly; factor it first, or export a folder")
    }
    modules = Self.join(mix)
    guard !modules.isEmpty else {
      throw .invalidArgument("the soup has no low-rank backbones, so that there is no adapter to export")
    }
    var types: Set<ElementType> = []
    for joined in modules {
      for (module, _) in joined.sources { types.formUnion([module.down.type, module.up.type]) }
    }
    type = options.type ?? (types.count == 1 ? types.first : nil) ?? .f32
    if let limit = options.rank, limit < 1 { throw .invalidArgument("rank is \(limit); it must be 1 or more") }
    let largest = modules.map { min($0.rank, options.rank ?? .max) }.max() ?? 0
    guard let rank = Self.ranks.first(where: { $0 >= largest }) else {
      throw .unsupported(
        "the ranks add up to \(largest), and vLLM takes adapters of at most 512; give a rank to recompress to, or "
          + "export a folder")
    }
    self.rank = rank
  }

  /// Every matrix that a backbone with a part in the blend changes; where none has one, all that any would change, so
  /// that the base can be served as an adapter too.
  private static func join(_ mix: WeightMix) -> [Joined] {
    var byModule: [String: [(module: AdapterModule, backbone: Int)]] = [:]
    for (index, backbone) in mix.backbones.enumerated() {
      for module in backbone.adapter?.modules ?? [] { byModule[module.name, default: []].append((module, index)) }
    }
    let isBase = mix.backbones.indices.allSatisfy { mix.backbones[$0].isFull || mix.coefficients[$0] == 0 }
    var tensors = mix.base.config.parameters.filter(\.isMatrix).map { MixedTensor($0) }
    if mix.base.config.tiesEmbeddings, let embedding = tensors.first {
      tensors.append(MixedTensor(headFrom: embedding.source))
    }
    return tensors.compactMap { tensor in
      guard let name = tensor.module, let found = byModule[name], let kind = found.first?.module.kind else {
        return nil
      }
      let sources = found.compactMap { module, backbone in
        let coefficient = mix.coefficient(of: backbone, layer: tensor.layer)
        return coefficient == 0 ? nil : (module, coefficient)
      }
      return sources.isEmpty && !isBase ? nil : Joined(tensor: tensor, module: name, kind: kind, sources: sources)
    }
  }

  /// Bytes of the tensors.
  var byteCount: Int {
    modules.reduce(0) { $0 + rank * ($1.tensor.rows + $1.tensor.columns) * type.byteCount }
  }

  /// - Returns: what recompression loses; nil for an exact export.
  func run(_ path: String, monitor: Monitor) throws(BoneSoupError) -> LowRankReport? {
    let engine = mix.engine
    let entries = modules.map { joined in
      AdapterFolderWriter.Module(
        name: joined.module, kind: joined.kind,
        inputs: joined.kind == .linear ? joined.tensor.columns : joined.tensor.rows,
        outputs: joined.kind == .linear ? joined.tensor.rows : joined.tensor.columns)
    }
    var card = try ModelCard(
      point, library: "peft", title: "A blend of a soup, as an adapter",
      summary:
        "Made by [BoneSoup](https://arxiv.org/abs/2502.10762): one preference as a LoRA adapter of the base; it is "
        + "loaded like any other one, at scale 1.",
      options: options, sources: ExportSources(mix, readsBase: false), monitor: monitor)
    if let limit = options.rank { card.notes.append("Recompressed to rank \(limit) at most, by SVD.") }
    let writer = try AdapterFolderWriter(
      path, modules: entries, rank: rank, type: type, targets: AdapterTargets(entries, mix.base.config).names,
      base: options.baseName ?? mix.base.name, card: card.text, allocator: engine.allocator, monitor: monitor.silent)
    let total = modules.reduce(0.0) { $0 + Double($1.tensor.rows + $1.tensor.columns) }
    var done = 0.0
    var losses: [TensorLoss] = []
    for (index, joined) in modules.enumerated() {
      try monitor.check()
      var factors = try RankFactors(
        joining: joined.sources, rows: joined.tensor.rows, columns: joined.tensor.columns, engine: engine)
      if let limit = options.rank {
        let loss: TensorLoss
        (factors, loss) = try recompress(factors, to: limit, joined, monitor: monitor.silent)
        losses.append(loss)
      }
      try factors.write(module: index, kind: joined.kind, padded: rank, type: type, to: writer, engine: engine)
      done += Double(joined.tensor.rows + joined.tensor.columns)
      try monitor.report(min(1, done / max(total, 1)))
    }
    try writer.commit(monitor: monitor.silent)
    return options.rank == nil ? nil : LowRankReport(losses, rank: rank)
  }

  private func recompress(
    _ exact: RankFactors, to limit: Int, _ joined: Joined, monitor: Monitor
  ) throws(BoneSoupError) -> (RankFactors, TensorLoss) {
    let engine = mix.engine
    let factors = try exact.recompressed(to: limit, engine: engine, monitor: monitor)
    let rounded = try factors.rounded(to: type, engine: engine)
    var sum = TermSum(
      products: [(exact, 1)], rows: joined.tensor.rows, columns: joined.tensor.columns, kernels: engine.kernels)
    let norm = try sum.squares(engine: engine, monitor: monitor).squareRoot()
    sum.products.append((rounded, -1))
    let lost = try sum.squares(engine: engine, monitor: monitor).squareRoot()
    return (
      factors,
      TensorLoss(name: joined.tensor.name, shape: joined.tensor.shape, rank: factors.rank, norm: norm, lost: lost)
    )
  }
}
