import Kernels
import Platform

/// Task arithmetic in all its forms: Δᵢ = θᵢ − θ₀, thinned out, rescaled, weighted, elected, summed, added to θ₀.
///
/// The arithmetic is mergekit's, operation by operation in f32: (Δ·mask)·scale·weight, then Σ over the models in order, the
/// division, lambda, θ₀ + …; only sums over a whole tensor are taken in f64.
struct TaskVectorMerge: Sendable {
  /// What is kept of a task vector.
  enum Thinning: Sendable {
    case none
    /// The greatest magnitudes (TIES, arXiv 2306.01708).
    case magnitude
    /// Without the greatest `gamma`, the greatest magnitudes (model breadcrumbs, arXiv 2312.06795).
    case outliers
    /// Each element with the same probability (DARE, arXiv 2311.03099).
    case random
    /// Each element with a probability by the rank of its magnitude in its row (DELLA, arXiv 2406.11617).
    case ranked
  }

  let thinning: Thinning
  /// Whether only the elements count that agree with the sign of the sum (TIES).
  let elects: Bool

  func byteCount(_ shape: MergeShape) -> Int {
    let n = shape.modelCount
    let sums = 16 * n * shape.blockCount(ofRows: thinning == .ranked)
    switch thinning {
    case .none: return shape.blockBytes(buffers: n + 2)
    case .magnitude, .outliers:
      return sums
        + max(MagnitudeBands.byteCount(shape, streams: n, buffers: n + 1), shape.blockBytes(buffers: n + 2))
    case .random: return sums + n * PackedMasks.byteCount(shape, ofRows: false) + shape.blockBytes(buffers: n + 2)
    case .ranked:
      return sums + n * PackedMasks.byteCount(shape, ofRows: true) + 4 * n * shape.rowLength
        + shape.blockBytes(buffers: max(RankedThinning.buffers, n + 2), ofRows: true)
    }
  }

  /// What is kept of one model's task vector.
  private enum Kept {
    case all
    case nothing
    case band(MagnitudeBand)
    /// Random words below this limit.
    case below(UInt32)
    case masked(PackedMasks)
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let n = tensor.models.count
    guard thinning != .random && thinning != .ranked || tensor.count <= 1 << 34 else {
      throw .unsupported("\(tensor.name) has \(tensor.count) elements; random words are drawn for up to 2^34")
    }
    var kept = try choose(tensor)
    let scales = tensor.values.flag("rescale") ? try scales(tensor, &kept) : [Float](repeating: 1, count: n)
    let weights = (0..<n).map { Float(tensor.values.number("weight", model: $0)) }
    let factors: [Float] = (0..<n).flatMap { [scales[$0], weights[$0], 1, weights[$0]] as [Float] }
    var flags: Kernels.MergeFlags = elects ? .elect : []
    if tensor.values.flag("normalize") { flags.insert(.normalize) }
    let sum = weights.reduce(0, +)
    let divisor: Float = sum.magnitude < 1e-8 ? 1 : sum
    let lambda = Float(tensor.values.number("lambda"))
    let kernels = tensor.kernels
    let chosen = kept
    try tensor.forBlocks(buffers: n + 2, ofRows: thinning == .ranked) { (block) throws(BoneSoupError) in
      let base = block.buffer(0)
      try tensor.readBase(block, into: base)
      for model in 0..<n {
        try tensor.readDelta(model, block, base: base, into: block.buffer(model + 1))
        thin(block.buffer(model + 1), model, block, chosen[model], tensor)
      }
      withDeltas(block, n) { deltas in
        kernels.mergeDeltas(
          deltas, factors: factors, n: n, flags: flags, divisor: divisor, lambda: lambda, base: base,
          count: block.count, into: base)
      }
      try tensor.write(base, block)
    }
  }

  private func choose(_ tensor: MergeTensor) throws(BoneSoupError) -> [Kept] {
    let n = tensor.models.count
    let densities = (0..<n).map { tensor.values.number("density", model: $0) }
    func whole(_ model: Int) -> Kept? { densities[model] >= 1 ? .all : densities[model] <= 0 ? .nothing : nil }
    switch thinning {
    case .none: return [Kept](repeating: .all, count: n)
    case .random:
      // A probability p in 32 bits: words below p·2^32.
      return (0..<n).map { whole($0) ?? .below(UInt32(densities[$0] * 0x1p32)) }
    case .ranked:
      var kept: [Kept] = []
      for model in 0..<n {
        if let whole = whole(model) {
          kept.append(whole)
        } else {
          let ranked = try RankedThinning(tensor, model: model, density: densities[model])
          kept.append(.masked(try ranked.masks()))
        }
      }
      return kept
    case .magnitude, .outliers:
      let open = (0..<n).filter { whole($0) == nil }
      guard !open.isEmpty else { return (0..<n).compactMap(whole) }
      let bands = try bands(of: open, densities, tensor)
      return (0..<n).map { model in
        whole(model) ?? open.firstIndex(of: model).map { .band(bands[$0]) } ?? .all
      }
    }
  }

  private func bands(
    of models: [Int], _ densities: [Double], _ tensor: MergeTensor
  ) throws(BoneSoupError) -> [MagnitudeBand] {
    let count = tensor.count
    let search = MagnitudeBands(
      tensor: tensor, streams: models.count,
      fill: { (block, stream) throws(BoneSoupError) in
        try tensor.readBase(block, into: block.buffer(0))
        for (number, model) in models.enumerated() {
          try tensor.readDelta(model, block, base: block.buffer(0), into: stream(number))
        }
      }, buffers: models.count + 1, first: 1)
    return try search.find { (stream, _) in
      let kept = Int(densities[models[stream]] * Double(count))
      guard thinning == .outliers else { return (max(1, kept), 0) }
      let greatest = Int(tensor.values.number("gamma", model: models[stream]) * Double(count))
      // Fewer outliers are dropped where else fewer than `kept` would be left.
      let dropped = min(greatest, count - kept)
      return (dropped + kept, dropped)
    }
  }

  private func thin(
    _ x: UnsafeMutablePointer<Float>, _ model: Int, _ block: MergeTensor.Block, _ kept: Kept, _ tensor: MergeTensor
  ) {
    switch kept {
    case .all: return
    case .nothing: x.update(repeating: 0, count: block.count)
    case .band(let band): band.keep(x, block: block.index, count: block.count, kernels: tensor.kernels)
    case .below(let limit):
      let words = tensor.words(block, model: model, in: block.buffer(tensor.models.count + 1))
      tensor.kernels.keepWords(x, words: words, limit: limit, count: block.count)
    case .masked(let masks): masks.apply(to: x, block: block, kernels: tensor.kernels)
    }
  }

  /// Σ|Δ| over Σ|what is kept of Δ|, 1 where either is next to nothing.
  ///
  /// - Parameter kept: what was drawn at random is remembered in it.
  private func scales(_ tensor: MergeTensor, _ kept: inout [Kept]) throws(BoneSoupError) -> [Float] {
    let n = tensor.models.count
    let ofRows = thinning == .ranked
    let blocks = tensor.shape.blockCount(ofRows: ofRows)
    let thinned = kept.map { if case .all = $0 { false } else { true } }
    func isThinned(_ model: Int) -> Bool { thinned[model] }
    guard (0..<n).contains(where: isThinned) else { return [Float](repeating: 1, count: n) }
    var masks = [PackedMasks?](repeating: nil, count: n)
    for model in 0..<n {
      if case .below = kept[model] {
        masks[model] = try PackedMasks(tensor.shape, ofRows: ofRows, allocator: tensor.engine.allocator)
      }
    }
    let drawn = masks
    let chosen = kept
    let memory = try Buffer(
      of: Double.self, count: 2 * n * blocks, allocator: tensor.engine.allocator, purpose: "sums of magnitudes")
    defer { withExtendedLifetime(memory) {} }
    let sums = memory.elements(Double.self)
    try tensor.forBlocks(buffers: n + 2, ofRows: ofRows) { (block) throws(BoneSoupError) in
      let base = block.buffer(0)
      try tensor.readBase(block, into: base)
      for model in 0..<n where isThinned(model) {
        let x = block.buffer(model + 1)
        try tensor.readDelta(model, block, base: base, into: x)
        sums[(2 * model) * blocks + block.index] = tensor.kernels.magnitudeSum(x, count: block.count)
        thin(x, model, block, chosen[model], tensor)
        drawn[model]?.set(from: x, block: block, kernels: tensor.kernels)
        sums[(2 * model + 1) * blocks + block.index] = tensor.kernels.magnitudeSum(x, count: block.count)
      }
    }
    for model in 0..<n {
      if let mask = masks[model] { kept[model] = .masked(mask) }
    }
    return (0..<n).map { model in
      guard isThinned(model) else { return 1 }
      func sum(_ row: Int) -> Float { Float((0..<blocks).reduce(0.0) { $0 + sums[row * blocks + $1] }) }
      let (before, after) = (sum(2 * model), sum(2 * model + 1))
      return before < 1e-7 || after < 1e-7 ? 1 : before / after
    }
  }
}

/// Calls `body` with the buffers 1…n of a block.
func withDeltas(
  _ block: MergeTensor.Block, _ n: Int, _ body: (UnsafePointer<UnsafePointer<Float>>) -> Void
) {
  let pointers = (0..<n).map { UnsafePointer(block.buffer($0 + 1)) }
  pointers.withUnsafeBufferPointer { if let start = $0.baseAddress { body(start) } }
}

extension MergeTensor {
  /// The random words of a block's elements for one model: word e % 4 of Philox at the counter (e / 4, upper half of the
  /// name's hash, model, lower half), the seed as key. A function of these alone, whatever the threads and blocks.
  ///
  /// - Parameter room: a buffer of the block.
  func words(_ block: Block, model: Int, in room: UnsafeMutablePointer<Float>) -> UnsafePointer<UInt32> {
    let words = UnsafeMutableRawPointer(room).assumingMemoryBound(to: UInt32.self)
    let start = block.range.lowerBound & ~63
    let before = block.range.lowerBound - start
    kernels.randomWords(
      seed: seed, first: UInt32(truncatingIfNeeded: start / 4), UInt32(truncatingIfNeeded: nameHash >> 32),
      UInt32(truncatingIfNeeded: model), UInt32(truncatingIfNeeded: nameHash),
      count: (before + block.count + 63) & ~63, into: words)
    return UnsafePointer(words + before)
  }
}
