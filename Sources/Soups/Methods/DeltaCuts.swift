import Kernels
import Platform

/// Finds the k elements of greatest magnitude of several task vectors: exactly, the lower index first among equals.
///
/// As a rule in one pass: a sample says between which magnitudes the k-th lies, and which it probably is; the pass counts
/// what is above, what has just that magnitude, and by a histogram what else is between. So no difference is ever stored.
struct DeltaCuts {
  private let models: DenseModels
  private let tensor: MergeTensor
  private let searches: Buffer
  private let blocks: Int

  /// Elements of a block: what base and model have of it stays in the second cache.
  private static let blockLength = 32768
  private static let mostBins = 4096
  private static let sampleRuns = 16
  private static let sampleRun = 1024
  /// Of a magnitude's 31 bits, those below are left out in the sample: it keeps what bf16 keeps.
  private static let sampleShift: UInt32 = 16
  private static let sampleBins = 1 << 15
  /// More than any search takes in a tensor that stays as it is.
  private static let mostPasses = 12

  private struct Search {
    let model: Int
    /// The rank, from the greatest down.
    let wanted: Int
    var low: UInt32 = 0
    var shift: UInt32 = 0
    var bins = 1
    /// The magnitude that is counted by itself.
    var known: UInt32 = .max
    var cut: DeltaCut?

    /// Looks between these bits, `high` ≤ 2^31 not included.
    mutating func look(from low: UInt32, to high: UInt32) {
      self.low = low
      shift = 0
      while Int(high - low) > DeltaCuts.mostBins << Int(shift) { shift += 1 }
      bins = (Int(high - low) + (1 << Int(shift)) - 1) >> Int(shift)
      // The last bin may reach beyond `high`, but not beyond all magnitudes.
      while Int(low) + bins << Int(shift) > 1 << 31 { bins -= 1 }
    }
  }

  private init(_ models: DenseModels, _ tensor: MergeTensor) throws(BoneSoupError) {
    self.models = models
    self.tensor = tensor
    blocks = (models.count + Self.blockLength - 1) / Self.blockLength
    let histograms = 4 * max(Self.mostBins * tensor.pool.threadCount, Self.sampleBins)
    searches = try Buffer(
      byteCount: models.modelCount * (histograms + 16 * blocks), allocator: tensor.engine.allocator,
      purpose: "counts of magnitudes")
  }

  /// - Parameter wanted: for each model, how many are kept.
  static func find(
    _ models: DenseModels, wanted: [Int], tensor: MergeTensor
  ) throws(BoneSoupError) -> [DeltaCut] {
    var searches = wanted.enumerated().map { model, wanted in
      var search = Search(model: model, wanted: wanted)
      if wanted <= 0 { search.cut = DeltaCut.none } else if wanted >= models.count { search.cut = .all }
      return search
    }
    if searches.contains(where: { $0.cut == nil }) {
      try DeltaCuts(models, tensor).run(&searches)
    }
    return searches.map { $0.cut ?? .all }
  }

  private func run(_ searches: inout [Search]) throws(BoneSoupError) {
    var open = searches.indices.filter { searches[$0].cut == nil }
    let counts = open.map { searches[$0] }
    Workers(pool: tensor.pool, count: open.count).run(monitor: tensor.monitor) { piece, _ in
      sample(counts[piece])
    }
    try tensor.monitor.check()
    for index in open { estimate(&searches[index]) }
    var passes = 0
    while !open.isEmpty {
      passes += 1
      guard passes <= Self.mostPasses else { throw .internalFault("\(tensor.name) changed between two readings") }
      try count(open.map { searches[$0] })
      for index in open { try narrow(&searches[index]) }
      open = open.filter { searches[$0].cut == nil }
    }
  }

  // What a search counts: for each block what is above and what is known, and histograms.

  private func counts(_ model: Int) -> UnsafeMutablePointer<Int> {
    searches.elements(Int.self) + 2 * model * blocks
  }

  private func histogram(_ model: Int, slot: Int = 0) -> UnsafeMutablePointer<UInt32> {
    let each = max(Self.mostBins * tensor.pool.threadCount, Self.sampleBins)
    let start = searches.pointer + 16 * models.modelCount * blocks
    return start.assumingMemoryBound(to: UInt32.self) + model * each + slot * Self.mostBins
  }

  private func sample(_ search: Search) {
    let bins = histogram(search.model)
    bins.update(repeating: 0, count: Self.sampleBins)
    let length = min(Self.sampleRun, models.count)
    let runs = min(Self.sampleRuns, models.count / length)
    var ignored = (0, 0)
    withUnsafeMutablePointer(to: &ignored) { ignored in
      ignored.withMemoryRebound(to: Int.self, capacity: 2) { ignored in
        for run in 0..<runs {
          let start = runs > 1 ? (models.count - length) / (runs - 1) * run : 0
          tensor.kernels.countDeltas(
            type: models.type, source: models.model(search.model, from: start), base: models.base(from: start),
            count: length, low: 0, shift: Self.sampleShift, bins: Self.sampleBins, known: .max, into: bins,
            counts: ignored)
        }
      }
    }
  }

  /// Where the cut is by the sample, four standard deviations of a rank to either side.
  private func estimate(_ search: inout Search) {
    let bins = histogram(search.model)
    let counted = (0..<Self.sampleBins).reduce(0) { $0 + Int(bins[$1]) }
    let share = Double(search.wanted) / Double(models.count)
    let margin = Int(4 * (share * (1 - share) * Double(counted)).squareRoot()) + 1
    let rank = Int(share * Double(counted))
    var (low, high): (UInt32, UInt32) = (0, 1 << 31)
    var before = 0
    for bin in stride(from: Self.sampleBins - 1, through: 0, by: -1) where bins[bin] > 0 {
      let now = before + Int(bins[bin])
      let bits = UInt32(bin) << Self.sampleShift
      if before < rank - margin, now >= rank - margin { high = bits + 1 << Self.sampleShift }
      if before < rank, now >= rank { search.known = bits }
      if now >= rank + margin {
        low = bits
        break
      }
      before = now
    }
    search.look(from: low, to: max(high, low + 1))
  }

  private func count(_ searches: [Search]) throws(BoneSoupError) {
    for search in searches {
      counts(search.model).update(repeating: 0, count: 2 * blocks)
      for slot in 0..<tensor.pool.threadCount {
        histogram(search.model, slot: slot).update(repeating: 0, count: search.bins)
      }
    }
    Workers(pool: tensor.pool, count: blocks).run(monitor: tensor.monitor) { block, slot in
      let start = block * Self.blockLength
      for search in searches {
        tensor.kernels.countDeltas(
          type: models.type, source: models.model(search.model, from: start), base: models.base(from: start),
          count: min(Self.blockLength, models.count - start), low: search.low, shift: search.shift,
          bins: search.bins, known: search.known, into: histogram(search.model, slot: slot),
          counts: counts(search.model) + 2 * block)
      }
    }
    try tensor.monitor.check()
  }

  private func narrow(_ search: inout Search) throws(BoneSoupError) {
    let counts = counts(search.model)
    var (seen, known) = (0, 0)
    for block in 0..<blocks { (seen, known) = (seen + counts[2 * block], known + counts[2 * block + 1]) }
    if seen >= search.wanted { return search.look(from: search.low + UInt32(search.bins) << search.shift, to: 1 << 31) }
    for bin in stride(from: search.bins - 1, through: 0, by: -1) {
      let low = search.low + UInt32(bin) << search.shift
      let hasKnown = search.known >= low && (search.known - low) >> search.shift == 0
      let others = (0..<tensor.pool.threadCount).reduce(0) { $0 + Int(histogram(search.model, slot: $1)[bin]) }
      let all = others + (hasKnown ? known : 0)
      if seen + all < search.wanted {
        seen += all
      } else if others == 0 {
        return search.cut = DeltaCut(
          bits: search.known, end: try end(of: search, after: search.wanted - seen, of: known))
      } else {
        if search.shift == 0 { search.known = low }
        return search.look(from: low, to: low + 1 << search.shift)
      }
    }
    search.look(from: 0, to: max(search.low, 1))
  }

  /// Behind which element lies the `kept`-th of `all` with the known magnitude.
  private func end(of search: Search, after kept: Int, of all: Int) throws(BoneSoupError) -> Int {
    guard kept < all else { return .max }
    let counts = counts(search.model)
    var (block, before) = (0, 0)
    while block < blocks, before + counts[2 * block + 1] < kept {
      before += counts[2 * block + 1]
      block += 1
    }
    let start = block * Self.blockLength
    let count = min(Self.blockLength, models.count - start)
    let room = try Buffer(
      of: Float.self, count: 2 * Self.blockLength, allocator: tensor.engine.allocator, purpose: "a block")
    let (base, delta) = (room.elements(Float.self), room.elements(Float.self) + Self.blockLength)
    tensor.kernels.widen(type: models.type, source: models.base(from: start), count: count, into: base)
    tensor.kernels.difference(
      type: models.type, source: models.model(search.model, from: start), base: base, count: count, into: delta)
    for index in 0..<count where delta[index].bitPattern & 0x7fff_ffff == search.known {
      before += 1
      if before == kept { return start + index + 1 }
    }
    throw .internalFault("\(tensor.name) changed between two readings")
  }
}
