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

  /// Blocks are whole rows.
  private var ofRows: Bool { thinning == .ranked }

  /// θ₀, Δ of each model, random words, and what ranking takes.
  private func bufferCount(_ modelCount: Int) -> Int {
    modelCount + 2 + (thinning == .ranked ? RankedThinning.buffers : 0)
  }

  func byteCount(_ shape: MergeShape) -> Int {
    let n = shape.modelCount
    let blocks = shape.blockBytes(buffers: bufferCount(n), ofRows: ofRows)
    let sums = 16 * n * shape.blockCount(ofRows: ofRows)
    switch thinning {
    case .none: return blocks
    case .magnitude, .outliers:
      let search = MagnitudeBands.byteCount(
        shape, streams: n, buffers: n + 1, cuts: thinning == .outliers ? 2 : 1)
      return max(search, blocks + sums) + BandPlaces.byteCount(shape, bands: n)
    case .random: return blocks + sums + n * PackedMasks.byteCount(shape, ofRows: ofRows)
    case .ranked: return blocks + sums + n * (PackedMasks.byteCount(shape, ofRows: ofRows) + 4 * shape.rowLength)
    }
  }

  /// What is kept of one model's task vector.
  private enum Kept {
    case all
    case nothing
    case band
    /// Random words below this limit.
    case below(UInt32)
    case ranked(RankedThinning)
    case masked(PackedMasks)
  }

  /// What is kept of all of them.
  private struct Selection {
    var kept: [Kept]
    /// The models that bands are of, and the bands.
    var banded: [Int] = []
    var places: BandPlaces?
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let n = tensor.models.count
    guard thinning != .random && thinning != .ranked || tensor.count <= 1 << 34 else {
      throw .unsupported("\(tensor.name) has \(tensor.count) elements; random words are drawn for up to 2^34")
    }
    var selection = try select(tensor)
    let scales =
      tensor.values.flag("rescale") ? try scales(tensor, &selection) : [Float](repeating: 1, count: n)
    let weights = (0..<n).map { Float(tensor.values.number("weight", model: $0)) }
    let factors: [Float] = (0..<n).flatMap { [scales[$0], weights[$0], 1, weights[$0]] as [Float] }
    var flags: Kernels.MergeFlags = elects ? .elect : []
    if tensor.values.flag("normalize") { flags.insert(.normalize) }
    let sum = weights.reduce(0, +)
    let divisor: Float = sum.magnitude < 1e-8 ? 1 : sum
    let lambda = Float(tensor.values.number("lambda"))
    let kernels = tensor.kernels
    let chosen = selection
    try tensor.forBlocks(buffers: bufferCount(n), ofRows: ofRows) { (block) throws(BoneSoupError) in
      try read(tensor, block)
      chosen.places?.keep(block, kernels: kernels) { block.buffer(chosen.banded[$0] + 1) }
      for model in 0..<n { thin(model, block, chosen.kept[model], tensor) }
      let base = block.buffer(0)
      withDeltas(block, n) { deltas in
        kernels.mergeDeltas(
          deltas, factors: factors, n: n, flags: flags, divisor: divisor, lambda: lambda, base: base,
          count: block.count, into: base)
      }
      try tensor.write(base, block)
    }
  }

  private func select(_ tensor: MergeTensor) throws(BoneSoupError) -> Selection {
    let n = tensor.models.count
    let densities = (0..<n).map { tensor.values.number("density", model: $0) }
    var selection = Selection(kept: [])
    for (model, density) in densities.enumerated() {
      switch thinning {
      case _ where density >= 1, .none: selection.kept.append(.all)
      case _ where density <= 0: selection.kept.append(.nothing)
      // A probability p in 32 bits: words below p·2^32.
      case .random: selection.kept.append(.below(UInt32(density * 0x1p32)))
      case .ranked: selection.kept.append(.ranked(try RankedThinning(tensor, model: model, density: density)))
      case .magnitude, .outliers:
        selection.kept.append(.band)
        selection.banded.append(model)
      }
    }
    if !selection.banded.isEmpty { selection.places = try bands(of: selection.banded, densities, tensor) }
    return selection
  }

  private func bands(
    of models: [Int], _ densities: [Double], _ tensor: MergeTensor
  ) throws(BoneSoupError) -> BandPlaces {
    let count = tensor.count
    func fill(
      _ block: MergeTensor.Block, _ stream: (Int) -> UnsafeMutablePointer<Float>
    ) throws(BoneSoupError) {
      try tensor.readBase(block, into: block.buffer(0))
      for (number, model) in models.enumerated() {
        try tensor.readDelta(model, block, base: block.buffer(0), into: stream(number))
      }
    }
    let search = MagnitudeBands(
      tensor: tensor, streams: models.count, fill: fill, buffers: models.count + 1, first: 1)
    let bands = try search.find { stream in
      let kept = Int(densities[models[stream]] * Double(count))
      guard thinning == .outliers else { return (max(1, kept), 0) }
      let greatest = Int(tensor.values.number("gamma", model: models[stream]) * Double(count))
      // Fewer outliers are dropped where else fewer than `kept` would be left.
      let dropped = min(greatest, count - kept)
      return (dropped + kept, dropped)
    }
    return try BandPlaces(
      bands, tensor, buffers: models.count + 1,
      fill: { (block) throws(BoneSoupError) in try fill(block) { block.buffer(1 + $0) } },
      stream: { block, stream in block.buffer(1 + stream) })
  }

  /// θ₀ into buffer 0, Δ of each model into the next ones.
  private func read(_ tensor: MergeTensor, _ block: MergeTensor.Block) throws(BoneSoupError) {
    try tensor.readBase(block, into: block.buffer(0))
    for model in tensor.models.indices {
      try tensor.readDelta(model, block, base: block.buffer(0), into: block.buffer(model + 1))
    }
  }

  /// All but bands, which `BandPlaces` keeps.
  private func thin(_ model: Int, _ block: MergeTensor.Block, _ kept: Kept, _ tensor: MergeTensor) {
    let x = block.buffer(model + 1)
    let room = block.buffer(tensor.models.count + 1)
    switch kept {
    case .all, .band: return
    case .nothing: x.update(repeating: 0, count: block.count)
    case .below(let limit):
      let words = tensor.words(block, model: model, in: room)
      tensor.kernels.keepWords(x, words: words, limit: limit, count: block.count)
    case .ranked(let ranked):
      ranked.prune(
        x, count: block.count, words: tensor.words(block, model: model, in: room),
        room: block.buffer(tensor.models.count + 2), kernels: tensor.kernels)
    case .masked(let masks): masks.apply(to: x, block: block, kernels: tensor.kernels)
    }
  }

  /// Σ|Δ| over Σ|what is kept of Δ|, 1 where either is next to nothing.
  ///
  /// - Parameter selection: what was drawn at random is remembered in it.
  private func scales(_ tensor: MergeTensor, _ selection: inout Selection) throws(BoneSoupError) -> [Float] {
    let n = tensor.models.count
    let blocks = tensor.shape.blockCount(ofRows: ofRows)
    var masks = [PackedMasks?](repeating: nil, count: n)
    var isThinned = [Bool](repeating: true, count: n)
    for model in 0..<n {
      switch selection.kept[model] {
      case .all: isThinned[model] = false
      case .below, .ranked:
        masks[model] = try PackedMasks(tensor.shape, ofRows: ofRows, allocator: tensor.engine.allocator)
      case .nothing, .band, .masked: break
      }
    }
    guard isThinned.contains(true) else { return [Float](repeating: 1, count: n) }
    let memory = try Buffer(
      of: Double.self, count: 2 * n * blocks, allocator: tensor.engine.allocator, purpose: "sums of magnitudes")
    defer { withExtendedLifetime(memory) {} }
    let sums = memory.elements(Double.self)
    let (chosen, drawn, thinned, kernels) = (selection, masks, isThinned, tensor.kernels)
    try tensor.forBlocks(buffers: bufferCount(n), ofRows: ofRows) { (block) throws(BoneSoupError) in
      func sum(_ model: Int) -> Double { kernels.magnitudeSum(block.buffer(model + 1), count: block.count) }
      func place(_ model: Int, _ row: Int) -> Int { (2 * model + row) * blocks + block.index }
      try read(tensor, block)
      for model in 0..<n where thinned[model] { sums[place(model, 0)] = sum(model) }
      chosen.places?.keep(block, kernels: kernels) { block.buffer(chosen.banded[$0] + 1) }
      for model in 0..<n where thinned[model] {
        if case .below(let limit) = chosen.kept[model], let mask = drawn[model] {
          sums[place(model, 1)] = mask.draw(
            block.buffer(model + 1), words: tensor.words(block, model: model, in: block.buffer(n + 1)), limit: limit,
            block: block, kernels: kernels)
        } else {
          thin(model, block, chosen.kept[model], tensor)
          drawn[model]?.set(from: block.buffer(model + 1), block: block, kernels: kernels)
          sums[place(model, 1)] = sum(model)
        }
      }
    }
    for model in 0..<n {
      if let mask = masks[model] { selection.kept[model] = .masked(mask) }
    }
    return (0..<n).map { model in
      guard isThinned[model] else { return 1 }
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
