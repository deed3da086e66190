import Kernels
public import Platform

/// Computes rows: positions of any texts, each with its own cache and its own live gains, through one set of weights.
///
/// Every number has one order of summation whatever the other rows and the number of threads (DESIGN §8): a row's bits
/// do not depend on its company. Used by one thread at a time.
public final class ForwardPass {
  /// Rows in one step at most: enough to keep the kernels at their peak, few enough to answer a cancel soon.
  public static let maximumRows = 256

  let config: ModelConfig
  let engine: Engine
  private var workspace: Workspace?

  public init(_ config: ModelConfig, engine: Engine) {
    self.config = config
    self.engine = engine
  }

  /// Computes up to `maximumRows` rows. Rows of one text must ascend.
  ///
  /// On an error or a cancel the rows' positions in the caches and their logits hold nothing of use; positions before
  /// them are untouched.
  public func run(
    _ rows: [Row], weights: ModelWeights, adapters: AdapterSet?, monitor: Monitor
  ) throws(BoneSoupError) {
    guard !rows.isEmpty else { return }
    guard rows.count <= Self.maximumRows else {
      throw .internalFault("\(rows.count) rows in one step of at most \(Self.maximumRows)")
    }
    for row in rows where row.token < 0 || row.token >= config.vocabularySize {
      throw .invalidArgument("token \(row.token) is not in the vocabulary of \(config.vocabularySize)")
    }
    // Rows with gains come first, so that groups of tokens are of one kind.
    let liveCount = adapters == nil ? 0 : rows.count { $0.gains != nil }
    let rows =
      liveCount == 0 || liveCount == rows.count
      ? rows : rows.filter { $0.gains != nil } + rows.filter { $0.gains == nil }
    let work = try workspace(rows: rows.count, rankWidth: adapters?.maximumRank ?? 0)
    let step = Step(
      engine: engine, rows: rows, weights: weights, adapters: liveCount > 0 ? adapters : nil, liveCount: liveCount,
      packs: weights.packs(rows: rows.count), work: work, monitor: monitor)
    step.embed()
    for layer in weights.layers.indices {
      step.attend(layer)
      step.feedForward(layer)
      try monitor.check()
    }
    try step.readOut()
    try monitor.check()
  }

  private func workspace(rows: Int, rankWidth: Int) throws(BoneSoupError) -> Workspace {
    if let workspace, workspace.rows >= rows, workspace.rankWidth >= rankWidth { return workspace }
    // What was needed once may be needed again in turn with this.
    var capacity = workspace?.rows ?? 1
    while capacity < rows { capacity *= 2 }
    let width = max(workspace?.rankWidth ?? 0, rankWidth)
    workspace = nil
    let made = try Workspace(config, rows: capacity, rankWidth: width, engine: engine)
    workspace = made
    return made
  }
}
