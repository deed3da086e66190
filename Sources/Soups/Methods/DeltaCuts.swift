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

  /// Elements of a block: long to read, but what the base has of it stays in the second cache for all models.
  private static let blockLength = 1 << 17
  private static let mostBins = 4096
  private static let mostSampleRuns = 16
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
      guard passes <= Self.mostPasses else { throw changed }
      try count(open.map { searches[$0] })
      for index in open { try narrow(&searches[index]) }
      open = open.filter { searches[$0].cut == nil }
    }
  }

  private var sampleRun: Int { min(1024, models.count) }
  private var sampleRuns: Int { min(Self.mostSampleRuns, models.count / sampleRun) }

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
    let (length, runs) = (sampleRun, sampleRuns)
    for run in 0..<runs {
      let start = runs > 1 ? (models.count - length) / (runs - 1) * run : 0
      _ = count(
        search.model, start..<start + length, low: 0, shift: Self.sampleShift, bins: Self.sampleBins, known: .max,
        into: bins)
    }
  }

  /// Where the cut is by the sample, four standard deviations of a rank to either side. Known is the commonest there: what
  /// small changes of 16-bit numbers leave are few magnitudes, and often.
  private func estimate(_ search: inout Search) {
    let bins = histogram(search.model)
    let counted = sampleRuns * sampleRun
    let share = Double(search.wanted) / Double(models.count)
    let margin = Int(4 * (share * (1 - share) * Double(counted)).squareRoot()) + 1
    let rank = Int(share * Double(counted))
    var (low, high): (UInt32, UInt32) = (0, 1 << 31)
    var (before, most) = (0, UInt32(0))
    for bin in stride(from: Self.sampleBins - 1, through: 0, by: -1) where bins[bin] > 0 {
      let now = before + Int(bins[bin])
      let bits = UInt32(bin) << Self.sampleShift
      if before < rank - margin, now >= rank - margin { high = bits + 1 << Self.sampleShift }
      if now >= rank - margin, bins[bin] > most { (most, search.known) = (bins[bin], bits) }
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
      for slot in 0..<tensor.pool.threadCount {
        histogram(search.model, slot: slot).update(repeating: 0, count: search.bins)
      }
    }
    Workers(pool: tensor.pool, count: blocks).run(monitor: tensor.monitor) { block, slot in
      let elements = elements(of: block)
      for search in searches {
        let found = count(
          search.model, elements, low: search.low, shift: search.shift, bins: search.bins, known: search.known,
          into: histogram(search.model, slot: slot))
        let counts = counts(search.model) + 2 * block
        (counts[0], counts[1]) = found
      }
    }
    try tensor.monitor.check()
  }

  private func narrow(_ search: inout Search) throws(BoneSoupError) {
    let counts = counts(search.model)
    var (seen, known) = (0, 0)
    for block in 0..<blocks { (seen, known) = (seen + counts[2 * block], known + counts[2 * block + 1]) }
    if seen >= search.wanted { return search.look(from: search.low + UInt32(search.bins) << search.shift, to: 1 << 31) }
    let bins = histogram(search.model)
    let knownBin = search.known < search.low ? -1 : Int(search.known - search.low) >> Int(search.shift)
    for bin in stride(from: search.bins - 1, through: 0, by: -1) {
      var others = 0
      for slot in 0..<tensor.pool.threadCount { others += Int(bins[slot * Self.mostBins + bin]) }
      let all = others + (bin == knownBin ? known : 0)
      seen += all
      if seen < search.wanted { continue }
      let low = search.low + UInt32(bin) << search.shift
      if seen == search.wanted {
        search.cut = DeltaCut(bits: low, end: .max)
      } else if others == 0 {
        search.cut = DeltaCut(bits: search.known, end: try end(of: search, after: search.wanted - (seen - all)))
      } else {
        // Differences of 16-bit numbers have zeros at the end.
        search.known = low
        search.look(from: low, to: low + 1 << search.shift)
      }
      return
    }
    search.look(from: 0, to: max(search.low, 1))
  }

  /// Behind which element lies the `kept`-th with the known magnitude.
  private func end(of search: Search, after kept: Int) throws(BoneSoupError) -> Int {
    let counts = counts(search.model)
    var (block, before) = (0, 0)
    while block < blocks - 1, before + counts[2 * block + 1] < kept {
      before += counts[2 * block + 1]
      block += 1
    }
    var rest = elements(of: block)
    while rest.count > 1 {
      let middle = rest.lowerBound + rest.count / 2
      let equal = equals(in: rest.lowerBound..<middle, of: search)
      if before + equal >= kept {
        rest = rest.lowerBound..<middle
      } else {
        before += equal
        rest = middle..<rest.upperBound
      }
    }
    guard before + equals(in: rest, of: search) == kept else { throw changed }
    return rest.upperBound
  }

  /// How many elements have the known magnitude.
  private func equals(in range: Range<Int>, of search: Search) -> Int {
    var others: UInt32 = 0
    return count(search.model, range, low: search.known, shift: 0, bins: 1, known: search.known, into: &others).equal
  }

  /// The kernel's counts of a model's elements.
  private func count(
    _ model: Int, _ range: Range<Int>, low: UInt32, shift: UInt32, bins: Int, known: UInt32,
    into histogram: UnsafeMutablePointer<UInt32>
  ) -> (above: Int, equal: Int) {
    withUnsafeTemporaryAllocation(of: Int.self, capacity: 2) { counts in
      counts.initialize(repeating: 0)
      guard let first = counts.baseAddress else { return (0, 0) }
      let start = range.lowerBound
      tensor.kernels.countDeltas(
        type: models.type, source: models.model(model, from: start), base: models.base(from: start), count: range.count,
        low: low, shift: shift, bins: bins, known: known, into: histogram, counts: first)
      return (counts[0], counts[1])
    }
  }

  private func elements(of block: Int) -> Range<Int> {
    block * Self.blockLength..<min((block + 1) * Self.blockLength, models.count)
  }

  private var changed: BoneSoupError { .internalFault("\(tensor.name) changed between two readings") }
}
