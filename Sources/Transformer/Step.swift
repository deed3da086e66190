import Kernels
import Platform

/// One step of the forward pass: the decoder of Llama and its kin over a set of rows.
struct Step {
  let engine: Engine
  /// The live ones first.
  let rows: [Row]
  let weights: ModelWeights
  /// nil where no row is live.
  let adapters: AdapterSet?
  let work: Workspace
  let monitor: Monitor
  private let liveCount: Int
  private let runner: ProjectionRunner
  private let packs: Allocator?
  private let groups: TokenGroups
  private let liveGroups: TokenGroups

  /// - Parameters:
  ///   - liveCount: how many rows, the first ones, have gains.
  ///   - packs: makes panels of matrices that still lie in their files.
  init(
    engine: Engine, rows: [Row], weights: ModelWeights, adapters: AdapterSet?, liveCount: Int, packs: Bool,
    work: Workspace, monitor: Monitor
  ) {
    self.engine = engine
    self.rows = rows
    self.weights = weights
    self.adapters = adapters
    self.liveCount = liveCount
    self.work = work
    self.monitor = monitor
    runner = ProjectionRunner(
      kernels: engine.kernels, pool: engine.pool, monitor: monitor, scratch: work.scratch,
      scratchBytes: work.scratchBytes)
    self.packs = packs ? engine.allocator : nil
    groups = TokenGroups(tokens: rows.count, adaptedTokens: liveCount)
    liveGroups = groups.adapted
  }

  var config: ModelConfig { weights.config }
  var kernels: Kernels { engine.kernels }
  private var hidden: Int { weights.config.hiddenSize }

  /// Token embeddings into the stream, angles of each position.
  func embed() {
    let half = config.headSize / 2
    eachRow { index in
      let row = rows[index]
      weights.embedding.unpack(row: Int(row.token), kernels: kernels, into: work.stream + index * hidden)
      config.rotary.angles(
        position: row.position, cosine: work.cosine + index * half, sine: work.sine + index * half)
    }
    guard let stack = adapters?.embedding else { return }
    for index in 0..<liveCount {
      stack.copyDown(token: Int(rows[index].token), into: work.ranks + index * work.rankWidth)
    }
    applyGains(of: [stack], layer: nil, rows: nil, count: liveCount)
    pack(work.ranks, work.rankWidth, stack.rank, stack.up.format, liveGroups, into: work.packedRanks)
    runner.run(
      [
        Projection(
          weight: stack.up, input: work.packedRanks, output: work.stream, outputStride: hidden, accumulates: true)
      ], groups: liveGroups)
  }

  /// stream += O·attention(norm(stream)).
  func attend(_ index: Int) {
    let layer = weights.layers[index]
    let headSize = config.headSize
    let queryWidth = config.headCount * headSize
    let keyValueWidth = config.keyValueHeadCount * headSize
    project(
      input: work.normed, norm: layer.inputNorm, width: hidden,
      [
        target(layer.query, index, .query, work.query, queryWidth),
        target(layer.key, index, .key, work.key, keyValueWidth),
        target(layer.value, index, .value, work.value, keyValueWidth),
      ], layer: index)
    eachRow { number in
      let row = rows[number]
      let query = work.query + number * queryWidth
      let key = work.key + number * keyValueWidth
      let cosine = work.cosine + number * headSize / 2
      let sine = work.sine + number * headSize / 2
      normHeads(query, config.headCount, layer.queryNorm)
      normHeads(key, config.keyValueHeadCount, layer.keyNorm)
      kernels.rotate(
        x: query, headCount: config.headCount, headDim: headSize, rotaryDim: headSize, cosine: cosine, sine: sine)
      kernels.rotate(
        x: key, headCount: config.keyValueHeadCount, headDim: headSize, rotaryDim: headSize, cosine: cosine, sine: sine)
      row.cache.store(
        keys: key, values: work.value + number * keyValueWidth, layer: index, position: row.position, kernels: kernels)
    }
    lookBack(index)
    project(
      input: work.attention, width: queryWidth, [target(layer.output, index, .output, work.stream, hidden)],
      layer: index, accumulates: true)
  }

  /// stream += Down·(silu(Gate·x) ∘ Up·x), x = norm(stream).
  func feedForward(_ index: Int) {
    let layer = weights.layers[index]
    let width = config.intermediateSize
    project(
      input: work.normed, norm: layer.postAttentionNorm, width: hidden,
      [
        target(layer.gate, index, .gate, work.gate, width), target(layer.up, index, .up, work.up, width),
      ], layer: index
    ) { columns, tokens in
      for token in tokens {
        let gate = work.gate + token * width + columns.lowerBound
        kernels.siluMultiply(
          gate: gate, up: work.up + token * width + columns.lowerBound, count: columns.count, out: gate)
      }
    }
    project(
      input: work.gate, width: width, [target(layer.down, index, .down, work.stream, hidden)], layer: index,
      accumulates: true)
  }

  /// Logits of the rows that want them.
  func readOut() throws(BoneSoupError) {
    let wanted = rows.indices.filter { rows[$0].logits != nil }
    guard !wanted.isEmpty else { return }
    for (slot, index) in wanted.enumerated() {
      kernels.rmsNorm(
        x: work.stream + index * hidden, weight: weights.finalNorm.pointer, epsilon: config.normEpsilon, count: hidden,
        y: work.normed + slot * hidden)
    }
    if wanted.count == 1, let logits = rows[wanted[0]].logits {
      readOut(rows: wanted[...], input: work.normed, into: logits)
      return
    }
    // A few rows at a time bound the memory: a vocabulary is large.
    let vocabulary = config.vocabularySize
    let chunk = min(wanted.count, 32)
    let scratch = try work.logits(count: chunk * vocabulary, allocator: engine.allocator)
    for start in stride(from: 0, to: wanted.count, by: chunk) {
      let part = wanted[start..<min(start + chunk, wanted.count)]
      readOut(rows: part, input: work.normed + start * hidden, into: scratch)
      for (slot, index) in part.enumerated() {
        rows[index].logits?.update(from: scratch + slot * vocabulary, count: vocabulary)
      }
    }
  }

  private func readOut(
    rows indices: ArraySlice<Int>, input: UnsafePointer<Float>, into logits: UnsafeMutablePointer<Float>
  ) {
    let live = adapters?.head == nil ? 0 : indices.count { $0 < liveCount }
    let groups = TokenGroups(tokens: indices.count, adaptedTokens: live)
    project(
      input: input, width: hidden,
      [
        Target(
          linear: Linear(weight: weights.head, bias: nil), stack: adapters?.head, output: logits,
          stride: config.vocabularySize)
      ], layer: nil, rows: Array(indices), groups: groups, liveGroups: groups.adapted)
  }

  // MARK: - Pieces

  /// Calls `body` for each row, over the pool where there are enough of them.
  private func eachRow(_ body: (Int) -> Void) {
    if rows.count < 8 {
      for row in rows.indices { body(row) }
    } else {
      let parts = min(rows.count, engine.pool.threadCount * 4)
      engine.pool.run(parts: parts) { part in
        for row in rows.count * part / parts..<rows.count * (part + 1) / parts { body(row) }
      }
    }
  }

  private func norm(_ row: Int, _ weight: VectorWeight) {
    kernels.rmsNorm(
      x: work.stream + row * hidden, weight: weight.pointer, epsilon: config.normEpsilon, count: hidden,
      y: work.normed + row * hidden)
  }

  private func normHeads(_ heads: UnsafeMutablePointer<Float>, _ count: Int, _ weight: VectorWeight?) {
    guard let weight else { return }
    for head in 0..<count {
      let start = heads + head * config.headSize
      kernels.rmsNorm(
        x: start, weight: weight.pointer, epsilon: config.normEpsilon, count: config.headSize, y: start)
    }
  }

  /// A linear layer of a projection: where its output goes, and its adapters where rows are live.
  private struct Target {
    let linear: Linear
    let stack: AdapterStack?
    let output: UnsafeMutablePointer<Float>
    let stride: Int
  }

  private func target(
    _ linear: Linear, _ layer: Int, _ role: LinearRole, _ output: UnsafeMutablePointer<Float>, _ stride: Int
  ) -> Target {
    Target(linear: linear, stack: adapters?.linear(layer: layer, role), output: output, stride: stride)
  }

  private func project(
    input: UnsafePointer<Float>, norm: VectorWeight? = nil, width: Int, _ targets: [Target], layer: Int,
    accumulates: Bool = false, then: ((Range<Int>, Range<Int>) -> Void)? = nil
  ) {
    project(
      input: input, norm: norm, width: width, targets, layer: layer, rows: nil, groups: groups, liveGroups: liveGroups,
      accumulates: accumulates, then: then)
  }

  /// Linear layers over one input: W·x, and for live rows U·(g ∘ (D·x)) on top.
  ///
  /// - Parameters:
  ///   - norm: makes the input, `work.normed`, of the stream.
  ///   - indices: which rows these are; nil: all.
  ///   - liveGroups: those of `groups` whose rows are live.
  ///   - then: see `ProjectionRunner.run`.
  private func project(
    input: UnsafePointer<Float>, norm: VectorWeight? = nil, width: Int, _ targets: [Target], layer: Int?,
    rows indices: [Int]?, groups: TokenGroups, liveGroups: TokenGroups, accumulates: Bool = false,
    then: ((Range<Int>, Range<Int>) -> Void)? = nil
  ) {
    guard let format = targets.first?.linear.weight.format else { return }
    pack(input, norm: norm, width, width, format, groups, into: work.packed)
    let ranks =
      liveGroups.count == 0
      ? nil
      : adapt(
        input: input, width: width, targets, layer: layer, rows: indices, format: format, groups: liveGroups)
    let projections = targets.indices.map { index in
      let target = targets[index]
      return Projection(
        weight: target.linear.weight, bias: target.linear.bias, input: work.packed, output: target.output,
        outputStride: target.stride, accumulates: accumulates,
        adapter: ranks?[index].flatMap { ranks in target.stack.map { ($0.up, ranks) } }, packs: packs)
    }
    runner.run(projections, groups: groups, then: then)
  }

  /// g ∘ (D·x) of each target for the live rows, packed; nil where a target has no adapter.
  private func adapt(
    input: UnsafePointer<Float>, width: Int, _ targets: [Target], layer: Int?, rows indices: [Int]?,
    format: WeightFormat, groups: TokenGroups
  ) -> [UnsafeRawPointer?] {
    let adapted = targets.compactMap(\.stack)
    guard groups.count > 0, let first = adapted.first else { return targets.map { _ in nil } }
    var packed = UnsafeRawPointer(work.packed)
    if first.up.format != format {
      pack(input, width, width, first.up.format, groups, into: work.packedForAdapters)
      packed = UnsafeRawPointer(work.packedForAdapters)
    }
    var downs: [Projection] = []
    var columns: [Int] = []
    var column = 0
    for stack in adapted {
      guard let down = stack.linearDown else { continue }
      downs.append(
        Projection(weight: down, input: packed, output: work.ranks + column, outputStride: work.rankWidth))
      columns.append(column)
      column += stack.rank
    }
    runner.run(downs, groups: groups)
    applyGains(of: adapted, layer: layer, rows: indices, count: groups.tokens(groups.count - 1).upperBound)
    var next = work.packedRanks
    var results: [UnsafeRawPointer?] = []
    var index = 0
    for target in targets {
      guard let stack = target.stack else {
        results.append(nil)
        continue
      }
      pack(work.ranks + columns[index], work.rankWidth, stack.rank, stack.up.format, groups, into: next)
      results.append(UnsafeRawPointer(next))
      next += (groups.places * kernels.tokenBytes(stack.up.format, columns: stack.rank) + 63) & ~63
      index += 1
    }
    return results
  }

  /// Multiplies the ranks of the first `count` rows by their gains. A rank with gain 0 becomes 0 whatever it held.
  private func applyGains(of stacks: [AdapterStack], layer: Int?, rows indices: [Int]?, count: Int) {
    var last: LiveGains?
    var width = 0
    for slot in 0..<count {
      guard let gains = rows[indices?[slot] ?? slot].gains else { continue }
      // Rows of one text share their gains.
      if last !== gains {
        last = gains
        width = 0
        for stack in stacks {
          stack.write(gains, layer: layer, into: work.factors + width)
          width += stack.rank
        }
      }
      let ranks = work.ranks + slot * work.rankWidth
      for index in 0..<width {
        let factor = work.factors[index]
        ranks[index] = factor == 0 ? 0 : ranks[index] * factor
      }
    }
  }

  /// Packs rows of `input`, `stride` apart and made by a norm where one is given, for a product with weights of the format.
  private func pack(
    _ input: UnsafePointer<Float>, norm weight: VectorWeight? = nil, _ stride: Int, _ columns: Int,
    _ format: WeightFormat, _ groups: TokenGroups, into target: UnsafeMutableRawPointer
  ) {
    func group(_ index: Int) {
      if let weight {
        for row in groups.tokens(index) { norm(row, weight) }
      }
      kernels.packInput(format, x: input, ldx: stride, columns: columns, groups: groups, index: index, into: target)
    }
    if groups.places * columns < 1 << 13 {
      for index in 0..<groups.count { group(index) }
    } else {
      engine.pool.run(parts: groups.count, group)
    }
  }
}
