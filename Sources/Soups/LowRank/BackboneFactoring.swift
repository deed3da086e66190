import Checkpoints
import Kernels
public import Platform
import Transformer

/// A full backbone written as a PEFT adapter: each matrix of Δ = θᵢ − θ₀ made low-rank, so that the backbone can be live.
public struct BackboneFactoring {
  private let soup: Soup
  private let backbone: Backbone
  private let label: String
  private let options: FactoringOptions

  /// - Parameter index: a full backbone of the soup.
  public init(_ soup: Soup, backbone index: Int, _ options: FactoringOptions) throws(BoneSoupError) {
    guard soup.backbones.indices.contains(index) else {
      throw .notFound("there is no backbone \(index); the soup has \(soup.backbones.count)")
    }
    self.soup = soup
    self.options = options
    backbone = soup.backbones[index]
    label = "backbone \(index) (\(excerpt(backbone.path)))"
    guard backbone.isFull else {
      throw .invalidArgument("\(label) is low-rank already; export a blend of it alone to recompress it")
    }
    if let rank = options.rank {
      guard (1...65_536).contains(rank) else { throw .invalidArgument("rank is \(rank); it must be 1 to 65536") }
    } else {
      guard options.maximumError > 0, options.maximumError < 1 else {
        throw .invalidArgument("max_error is \(options.maximumError); it must be above 0 and below 1")
      }
    }
  }

  /// Writes the adapter, whole or not at all.
  public func run(_ path: String, monitor: Monitor) throws(BoneSoupError) -> LowRankReport {
    let engine = soup.engine
    let tensors = soup.base.config.parameters.map { MixedTensor($0) }
    let total = tensors.reduce(0.0) { $0 + Double($1.source.elementCount) }
    var done = 0.0
    var losses = try vectorLosses(tensors, monitor: monitor.silent)
    var found: [(tensor: MixedTensor, factors: RankFactors)] = []
    for tensor in tensors {
      if tensor.module != nil, let outcome = try factor(tensor, monitor: monitor.silent) {
        found.append((tensor, outcome.factors))
        losses.append(
          TensorLoss(
            name: tensor.name, shape: tensor.shape, rank: outcome.factors.rank, norm: outcome.norm, lost: outcome.lost))
      }
      done += Double(tensor.source.elementCount)
      try monitor.report(min(1, done / max(total, 1)) * 0.95)
    }
    guard let rank = found.map(\.factors.rank).max() else {
      throw .invalidArgument("\(label) has the base's matrices, so that there is nothing to factor")
    }
    let report = LowRankReport(losses, rank: rank)
    try write(found, rank: rank, report, path, engine: engine, monitor: monitor.silent)
    try monitor.report(1)
    return report
  }

  /// Norms and biases that differ: refused, or listed as lost.
  private func vectorLosses(_ tensors: [MixedTensor], monitor: Monitor) throws(BoneSoupError) -> [TensorLoss] {
    var losses: [TensorLoss] = []
    for tensor in tensors where tensor.module == nil {
      let change = try backbone.change(of: tensor, from: soup.base, engine: soup.engine)
      let norm = try change.squares(engine: soup.engine, monitor: monitor).squareRoot()
      if norm == 0 { continue }
      guard options.vectors == .dropped, norm.isFinite else {
        throw .unsupported(
          "\(label): the tensor \(tensor.name) differs from the base's (by \(norm)), and an adapter holds no norms and "
            + "biases; keep the backbone full and fold, or have them dropped")
      }
      losses.append(TensorLoss(name: tensor.name, shape: tensor.shape, rank: 0, norm: norm, lost: norm))
    }
    return losses
  }

  private func factor(
    _ tensor: MixedTensor, monitor: Monitor
  ) throws(BoneSoupError) -> MatrixFactoring.Outcome? {
    try MatrixFactoring(
      matrix: try backbone.change(of: tensor, from: soup.base, engine: soup.engine), options: options,
      engine: soup.engine, monitor: monitor, name: "\(label), \(tensor.name)"
    ).run()
  }

  private func write(
    _ found: [(tensor: MixedTensor, factors: RankFactors)], rank: Int, _ report: LowRankReport, _ path: String,
    engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) {
    var modules: [(entry: AdapterFolderWriter.Module, factors: RankFactors)] = []
    for (tensor, factors) in found {
      let isEmbedding = tensor.source.role == .embedding
      let (inputs, outputs) = isEmbedding ? (tensor.rows, tensor.columns) : (tensor.columns, tensor.rows)
      modules.append(
        (
          .init(
            name: tensor.source.module, kind: isEmbedding ? .embedding : .linear, inputs: inputs, outputs: outputs),
          factors
        ))
      // A tied head follows its embedding only where it is adapted alike.
      if isEmbedding, soup.base.config.tiesEmbeddings {
        modules.append(
          (.init(name: "lm_head", kind: .linear, inputs: tensor.columns, outputs: tensor.rows), factors))
      }
    }
    var card = ModelCard(
      library: "peft", title: "A fine-tune as an adapter",
      summary:
        "Made by [BoneSoup](https://arxiv.org/abs/2502.10762): the change of a full checkpoint from its base, each "
        + "matrix made low-rank.")
    card.notes.append(
      "Rank \(rank). What is lost of the change, ‖Δ − UD‖ / ‖Δ‖ over all tensors: \(report.error). In its base it was "
        + "\(backbone.path.split(separator: "/").last.map { "“\(excerpt(String($0)))”" } ?? "a backbone").")
    let entries = modules.map(\.entry)
    let writer = try AdapterFolderWriter(
      path, modules: entries, rank: rank, type: options.type,
      targets: AdapterTargets(entries, soup.base.config).names, base: soup.base.name, card: card.text,
      allocator: engine.allocator, monitor: monitor)
    for (index, module) in modules.enumerated() {
      try monitor.check()
      try module.factors.write(
        module: index, kind: module.entry.kind, padded: rank, type: options.type, to: writer, engine: engine)
    }
    try writer.commit(monitor: monitor)
  }
}
