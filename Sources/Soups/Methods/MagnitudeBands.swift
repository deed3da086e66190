import Kernels
import Platform

/// Finds bands of several streams at once, as a rule in one pass over the tensor: a sample of its blocks says about where
/// the k-th magnitude lies, and the pass counts what is above and each magnitude near it. Further passes come where the
/// k-th lies elsewhere, or so many magnitudes are near it that several had to share a count.
struct MagnitudeBands {
  let tensor: MergeTensor
  let streams: Int
  /// Computes the streams' elements of a block.
  let fill: (MergeTensor.Block, (Int) -> UnsafeMutablePointer<Float>) throws(BoneSoupError) -> Void
  /// Buffers of a block, the streams' included, which are numbered from `first` on.
  let buffers: Int
  let first: Int

  /// Blocks of a sample: half a million elements, by which a rank is known to about 0.1 %.
  private static let sampleBlocks = 32
  /// Smaller tensors are counted whole.
  private static let leastSampledBlocks = 2 * sampleBlocks

  /// More than any search takes in a tensor that stays as it is.
  private static let mostPasses = 16

  /// - Parameter cuts: 2 where the greatest are dropped, else 1.
  static func byteCount(_ shape: MergeShape, streams: Int, buffers: Int, cuts: Int) -> Int {
    shape.blockBytes(buffers: buffers) + Histograms.byteCount(cuts * streams, slots: shape.threadCount)
  }

  /// A cut that is looked for, in bins of 2^shift magnitudes from the bits `low` on.
  private struct Search {
    let stream: Int
    /// The rank, from the greatest down.
    let wanted: Int
    var low: UInt32 = 0
    var shift: UInt32 = 15
    var bins = 1 << 16
    var found: MagnitudeBand.Cut?

    init(stream: Int, wanted: Int, of count: Int) {
      self.stream = stream
      self.wanted = wanted
      if wanted <= 0 { found = MagnitudeBand.Cut.none }
      if wanted >= count { found = .all }
    }

    /// Looks between these bits, `high` ≤ 2^31 not included.
    mutating func look(from low: UInt32, to high: UInt32) {
      self.low = low
      shift = 0
      while Int(high - low) > Histograms.mostBins << Int(shift) { shift += 1 }
      bins = (Int(high - low) + (1 << Int(shift)) - 1) >> Int(shift)
      // The last bin may reach beyond `high`, but not beyond all magnitudes.
      while Int(low) + bins << Int(shift) > 1 << 31 { bins -= 1 }
    }
  }

  /// - Parameter wanted: for a stream, how many of the greatest are kept and how many of these dropped.
  func find(wanted: (_ stream: Int) -> (kept: Int, dropped: Int)) throws(BoneSoupError) -> [MagnitudeBand] {
    guard tensor.count <= Int(UInt32.max) else {
      throw .unsupported("\(tensor.name) has \(tensor.count) elements; magnitudes of up to 2^32 - 1 are compared")
    }
    var searches = (0..<streams).flatMap { stream in
      let counts = wanted(stream)
      return [counts.kept, counts.dropped].map { Search(stream: stream, wanted: $0, of: tensor.count) }
    }
    var open = searches.indices.filter { searches[$0].found == nil }
    if !open.isEmpty, tensor.shape.blockCount(ofRows: false) >= Self.leastSampledBlocks {
      try estimate(&searches, open)
    }
    var passes = 0
    while !open.isEmpty {
      passes += 1
      guard passes <= Self.mostPasses else {
        throw .internalFault("\(tensor.name) changed between two readings")
      }
      let histograms = try count(open.map { searches[$0] })
      for (number, index) in open.enumerated() { narrow(&searches[index], histograms, number) }
      open = open.filter { searches[$0].found == nil }
    }
    return (0..<streams).map { stream in
      MagnitudeBand(kept: searches[2 * stream].found ?? .all, dropped: searches[2 * stream + 1].found ?? .none)
    }
  }

  private func count(_ searches: [Search], step: Int = 1) throws(BoneSoupError) -> Histograms {
    let histograms = try Histograms(searches.count, tensor: tensor)
    try tensor.forBlocks(buffers: buffers, step: step) { (block) throws(BoneSoupError) in
      try fill(block) { block.buffer(first + $0) }
      for (number, search) in searches.enumerated() {
        histograms.above(number, block.slot).pointee += tensor.kernels.magnitudeHistogram(
          block.buffer(first + search.stream), count: block.count, low: search.low, shift: search.shift,
          bins: search.bins, into: histograms.bins(number, block.slot))
      }
    }
    return histograms
  }

  /// Where the cuts are in a sample, four standard deviations of a rank to either side.
  private func estimate(_ searches: inout [Search], _ open: [Int]) throws(BoneSoupError) {
    let step = tensor.shape.blockCount(ofRows: false) / Self.sampleBlocks
    let sample = try count(open.map { searches[$0] }, step: step)
    for (number, index) in open.enumerated() {
      let counted = sample.total(number, bins: searches[index].bins)
      let share = Double(searches[index].wanted) / Double(tensor.count)
      let deviation = (share * (1 - share) * Double(counted)).squareRoot()
      let (rank, margin) = (Int(share * Double(counted)), Int(4 * deviation) + 1)
      func edge(_ rank: Int) -> UInt32? {
        sample.place(of: rank, number, bins: searches[index].bins).map { UInt32($0.bin) << 15 }
      }
      let low = edge(rank + margin) ?? 0
      let high = edge(rank - margin).map { $0 + 1 << 15 } ?? 1 << 31
      searches[index].look(from: low, to: max(high, low + 1))
    }
  }

  private func narrow(_ search: inout Search, _ histograms: Histograms, _ number: Int) {
    let above = histograms.totalAbove(number)
    if above >= search.wanted {
      search.look(from: search.low + UInt32(search.bins) << search.shift, to: 1 << 31)
    } else if let place = histograms.place(of: search.wanted, number, bins: search.bins) {
      let bits = search.low + UInt32(place.bin) << search.shift
      if search.shift == 0 {
        search.found = MagnitudeBand.Cut(bits: bits, kept: search.wanted - place.above, equal: place.count)
      } else {
        search.look(from: bits, to: bits + 1 << search.shift)
      }
    } else {
      search.look(from: 0, to: max(search.low, 1))
    }
  }
}

/// For each search and thread one histogram, and how many magnitudes are above it.
private struct Histograms {
  static let mostBins = 1 << 17

  private let memory: Buffer
  private let slots: Int
  private let searches: Int

  static func byteCount(_ searches: Int, slots: Int) -> Int { searches * slots * (4 * mostBins + 8) }

  init(_ searches: Int, tensor: MergeTensor) throws(BoneSoupError) {
    self.searches = searches
    slots = tensor.pool.threadCount
    let byteCount = Self.byteCount(searches, slots: slots)
    memory = try Buffer(byteCount: byteCount, allocator: tensor.engine.allocator, purpose: "histograms")
    memory.elements(UInt8.self).update(repeating: 0, count: byteCount)
  }

  func bins(_ search: Int, _ slot: Int) -> UnsafeMutablePointer<UInt32> {
    memory.elements(UInt32.self) + (search * slots + slot) * Self.mostBins
  }

  func above(_ search: Int, _ slot: Int) -> UnsafeMutablePointer<Int> {
    (memory.pointer + 4 * searches * slots * Self.mostBins).assumingMemoryBound(to: Int.self) + search * slots + slot
  }

  func totalAbove(_ search: Int) -> Int { (0..<slots).reduce(0) { $0 + above(search, $1).pointee } }

  /// Elements above and in the first `bins` bins.
  func total(_ search: Int, bins count: Int) -> Int {
    (0..<slots).reduce(totalAbove(search)) { sum, slot in
      let numbers = bins(search, slot)
      return (0..<count).reduce(sum) { $0 + Int(numbers[$1]) }
    }
  }

  struct Place {
    let bin: Int
    /// Elements in the bin, and all that are greater.
    let count: Int
    let above: Int
  }

  /// The bin in which the k-th greatest lies; nil where it lies in none.
  func place(of k: Int, _ search: Int, bins count: Int) -> Place? {
    var above = totalAbove(search)
    guard k > above else { return nil }
    let start = bins(search, 0)
    for bin in stride(from: count - 1, through: 0, by: -1) {
      var found = 0
      for slot in 0..<slots { found += Int(start[slot * Self.mostBins + bin]) }
      if above + found >= k { return Place(bin: bin, count: found, above: above) }
      above += found
    }
    return nil
  }
}
