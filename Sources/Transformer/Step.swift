import Kernels
import Platform

/// One step of the forward pass: the decoder of Llama and its kin over a set of rows.
struct Step {
  let pass: ForwardPass
  let rows: [Row]
  let weights: ModelWeights
  /// nil where no row is live.
  let adapters: AdapterSet?
  let work: Workspace
  let monitor: Monitor

  var config: ModelConfig { weights.config }
  var kernels: Kernels { pass.kernels }
  private var hidden: Int { weights.config.hiddenSize }
  private var runner: ProjectionRunner { ProjectionRunner(kernels: kernels, pool: pass.pool, monitor: monitor) }

  /// Token embeddings into the stream, angles of each position.
  func embed() {
    let half = config.headSize / 2
    eachRow { index in
      let row = rows[index]
      kernels.widen(
        type: weights.embedding.type, source: weights.embedding.row(Int(row.token)), count: hidden,
        into: work.stream + index * hidden)
      config.rotary.angles(
        position: row.position, cosine: work.cosine + index * half, sine: work.sine + index * half)
    }
    guard let stack = adapters?.embedding else { return }
    for (index, row) in rows.enumerated() {
      guard let gains = row.gains else { continue }
      let ranks = work.ranks
      kernels.widen(type: stack.down.type, source: stack.down.row(Int(row.token)), count: stack.rank, into: ranks)
      guard stack.apply(gains, layer: nil, to: ranks) else { continue }
      runner.run(
        [
          Projection(
            weight: stack.up, bias: nil, input: ranks, inputStride: stack.rank, output: work.stream + index * hidden,
            outputStride: hidden, accumulates: true)
        ], rows: 1)
    }
  }

  /// stream += O·attention(norm(stream)).
  func attend(_ index: Int) {
    let layer = weights.layers[index]
    let headSize = config.headSize
    let queryWidth = config.headCount * headSize
    let keyValueWidth = config.keyValueHeadCount * headSize
    norm(layer.inputNorm)
    project(
      layer: index, input: work.normed, width: hidden,
      [
        (layer.query, .query, work.query, queryWidth), (layer.key, .key, work.key, keyValueWidth),
        (layer.value, .value, work.value, keyValueWidth),
      ])
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
      layer: index, input: work.attention, width: queryWidth, [(layer.output, .output, work.stream, hidden)],
      accumulates: true)
  }

  /// stream += Down·(silu(Gate·x) ∘ Up·x), x = norm(stream).
  func feedForward(_ index: Int) {
    let layer = weights.layers[index]
    let width = config.intermediateSize
    norm(layer.postAttentionNorm)
    project(
      layer: index, input: work.normed, width: hidden,
      [(layer.gate, .gate, work.gate, width), (layer.up, .up, work.up, width)])
    eachRow { row in
      kernels.siluMultiply(
        gate: work.gate + row * width, up: work.up + row * width, count: width, out: work.gate + row * width)
    }
    project(
      layer: index, input: work.gate, width: width, [(layer.down, .down, work.stream, hidden)], accumulates: true)
  }

  /// Logits of the rows that want them.
  func readOut(_ allocator: Allocator) throws(BoneSoupError) {
    let wanted = rows.indices.filter { rows[$0].logits != nil }
    guard !wanted.isEmpty else { return }
    let vocabulary = config.vocabularySize
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
    let chunk = min(wanted.count, 32)
    let scratch = try Buffer(
      of: Float.self, count: chunk * vocabulary, allocator: allocator, purpose: "the logits of \(chunk) rows")
    for start in stride(from: 0, to: wanted.count, by: chunk) {
      let part = wanted[start..<min(start + chunk, wanted.count)]
      readOut(rows: part, input: work.normed + start * hidden, into: scratch.elements())
      for (slot, index) in part.enumerated() {
        rows[index].logits?.update(from: scratch.elements(Float.self) + slot * vocabulary, count: vocabulary)
      }
    }
  }

  private func readOut(
    rows indices: ArraySlice<Int>, input: UnsafePointer<Float>, into logits: UnsafeMutablePointer<Float>
  ) {
    let vocabulary = config.vocabularySize
    project(
      [(Linear(weight: weights.head, bias: nil), adapters?.head, logits, vocabulary)], layer: nil, input: input,
      width: hidden, gains: indices.map { rows[$0].gains }, accumulates: false)
  }

  // MARK: - Pieces

  /// Calls `body` for each row, over the pool where there are enough of them.
  private func eachRow(_ body: (Int) -> Void) {
    if rows.count < 8 {
      for row in rows.indices { body(row) }
    } else {
      let parts = min(rows.count, pass.pool.threadCount * 4)
      pass.pool.run(parts: parts) { part in
        for row in rows.count * part / parts..<rows.count * (part + 1) / parts { body(row) }
      }
    }
  }

  private func norm(_ weight: VectorWeight) {
    eachRow { row in
      kernels.rmsNorm(
        x: work.stream + row * hidden, weight: weight.pointer, epsilon: config.normEpsilon, count: hidden,
        y: work.normed + row * hidden)
    }
  }

  private func normHeads(_ heads: UnsafeMutablePointer<Float>, _ count: Int, _ weight: VectorWeight?) {
    guard let weight else { return }
    for head in 0..<count {
      let start = heads + head * config.headSize
      kernels.rmsNorm(
        x: start, weight: weight.pointer, epsilon: config.normEpsilon, count: config.headSize, y: start)
    }
  }

  private func project(
    layer: Int, input: UnsafePointer<Float>, width: Int,
    _ targets: [(linear: Linear, role: LinearRole, output: UnsafeMutablePointer<Float>, stride: Int)],
    accumulates: Bool = false
  ) {
    project(
      targets.map { ($0.linear, adapters?.linear(layer: layer, $0.role), $0.output, $0.stride) }, layer: layer,
      input: input, width: width, gains: adapters == nil ? [] : rows.map(\.gains), accumulates: accumulates,
      count: rows.count)
  }

  /// Linear layers over one input: the weights, and for live rows the adapters, y += U·(g ∘ (D·x)).
  ///
  /// - Parameter gains: of each row; empty where no row is live.
  private func project(
    _ targets: [(linear: Linear, stack: AdapterStack?, output: UnsafeMutablePointer<Float>, stride: Int)],
    layer: Int?, input: UnsafePointer<Float>, width: Int, gains: [LiveGains?], accumulates: Bool, count: Int? = nil
  ) {
    let count = count ?? gains.count
    var first = targets.map {
      Projection(
        weight: $0.linear.weight, bias: $0.linear.bias, input: input, inputStride: width, output: $0.output,
        outputStride: $0.stride, accumulates: accumulates)
    }
    var column = 0
    if adapters != nil {
      for target in targets {
        guard let stack = target.stack else { continue }
        first.append(
          Projection(
            weight: stack.down, bias: nil, input: input, inputStride: width, output: work.ranks + column,
            outputStride: work.rankWidth, accumulates: false))
        column += stack.rank
      }
    }
    runner.run(first, rows: count)
    guard column > 0 else { return }
    column = 0
    for target in targets {
      guard let stack = target.stack else { continue }
      let ranks = work.ranks + column
      column += stack.rank
      // Rows that add nothing are left alone, so that they keep the base's bits; the others go in runs.
      var start = 0
      for row in 0...count {
        let isLive =
          row < count && (gains[row].map { stack.apply($0, layer: layer, to: ranks + row * work.rankWidth) } ?? false)
        if isLive { continue }
        if row > start {
          runner.run(
            [
              Projection(
                weight: stack.up, bias: nil, input: ranks + start * work.rankWidth, inputStride: work.rankWidth,
                output: target.output + start * target.stride, outputStride: target.stride, accumulates: true)
            ], rows: row - start)
        }
        start = row + 1
      }
    }
  }
}
