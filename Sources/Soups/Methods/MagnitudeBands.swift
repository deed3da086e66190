import Kernels
import Platform

/// Which elements of a tensor are among the k of greatest magnitude, and not among the greatest j: exact, with the lower
/// index first among equals.
struct MagnitudeBand {
  /// The k greatest: magnitudes above `bits`, and the first `kept` of the `equal` elements with these bits.
  fileprivate struct Cut {
    var bits: UInt32
    var kept: Int
    var equal: Int
    /// The block in which the last of the kept equals is, and how many come before it; where only some are kept.
    var block = 0
    var before = 0

    /// No element, every element.
    static let none = Cut(bits: .max, kept: 0, equal: 0)
    static let all = Cut(bits: 0, kept: 1, equal: 1)

    /// The lowest bits that are in, for a whole block; nil where the block is the one in which that changes.
    func lowest(in index: Int) -> UInt32? {
      if kept >= equal { return bits }
      if kept == 0 || index > block { return bits == .max ? .max : bits + 1 }
      return index < block ? bits : nil
    }
  }

  fileprivate var kept: Cut
  fileprivate var dropped: Cut

  /// Elements of the block outside the band become 0.
  func keep(_ x: UnsafeMutablePointer<Float>, block: Int, count: Int, kernels: Kernels) {
    if let low = kept.lowest(in: block), let above = dropped.lowest(in: block) {
      if above == 0 { return x.update(repeating: 0, count: count) }
      return kernels.keepMagnitudes(x, count: count, low: low, high: above - 1)
    }
    var (keptEquals, droppedEquals) = (kept.before, dropped.before)
    let keepLow = kept.lowest(in: block)
    let dropLow = dropped.lowest(in: block)
    for index in 0..<count {
      let bits = x[index].bitPattern & 0x7fff_ffff
      var isKept = bits >= keepLow ?? (kept.bits + 1)
      if keepLow == nil, bits == kept.bits {
        isKept = keptEquals < kept.kept
        keptEquals += 1
      }
      var isDropped = bits >= dropLow ?? (dropped.bits + 1)
      if dropLow == nil, bits == dropped.bits {
        isDropped = droppedEquals < dropped.kept
        droppedEquals += 1
      }
      if !isKept || isDropped { x[index] = 0 }
    }
  }
}

/// Finds bands of several streams at once, in two or three passes over the tensor: a histogram of the upper 16 bits of the
/// magnitudes, one of the lower 15 where the k-th lies, and the place of equals where only some of them are in.
struct MagnitudeBands {
  let tensor: MergeTensor
  let streams: Int
  /// Computes the streams' elements of a block.
  let fill: (MergeTensor.Block, (Int) -> UnsafeMutablePointer<Float>) throws(BoneSoupError) -> Void
  /// Buffers of a block, the streams' included, which are numbered from `first` on.
  let buffers: Int
  let first: Int

  private static let upperBins = 65_536

  static func byteCount(_ shape: MergeShape, streams: Int, buffers: Int) -> Int {
    shape.blockBytes(buffers: buffers) + (shape.threadCount + 2) * 2 * streams * upperBins * 4
      + 8 * streams * shape.blockCount(ofRows: false)
  }

  /// - Parameter wanted: from a stream's number and its count of zeros, how many of the greatest are kept and how many of
  ///   these dropped.
  func find(
    wanted: (_ stream: Int, _ zeros: Int) -> (kept: Int, dropped: Int)
  ) throws(BoneSoupError) -> [MagnitudeBand] {
    guard tensor.count <= Int(UInt32.max) else {
      throw .unsupported("\(tensor.name) has \(tensor.count) elements; magnitudes of up to 2^32 - 1 are compared")
    }
    let kernels = tensor.kernels
    let upper = try Histograms(streams: streams, tensor: tensor, binCount: Self.upperBins)
    let zeroHistogram = try Histograms(streams: streams, tensor: tensor, binCount: 1)
    try tensor.forBlocks(buffers: buffers) { (block) throws(BoneSoupError) in
      try fill(block) { block.buffer(first + $0) }
      for stream in 0..<streams {
        let x = block.buffer(first + stream)
        kernels.magnitudeHistogram(x, count: block.count, into: upper.bins(stream, block.slot))
        let zeros = kernels.magnitudeCount(x, count: block.count, bits: 0)
        zeroHistogram.bins(stream, block.slot)[0] += UInt32(truncatingIfNeeded: zeros)
      }
    }
    var counts: [[Int]] = []
    var prefixes: [[Histograms.Place?]] = []
    for stream in 0..<streams {
      let (kept, dropped) = wanted(stream, zeroHistogram.total(stream, bin: 0))
      counts.append([kept, dropped])
      prefixes.append([kept, dropped].map { upper.place(of: $0, stream: stream, from: 0) })
    }
    return try refine(counts, prefixes)
  }

  private func refine(
    _ counts: [[Int]], _ prefixes: [[Histograms.Place?]]
  ) throws(BoneSoupError) -> [MagnitudeBand] {
    let kernels = tensor.kernels
    var cuts = counts.map { $0.map { $0 >= tensor.count ? MagnitudeBand.Cut.all : .none } }
    func isOpen(_ stream: Int, _ cut: Int) -> Bool {
      counts[stream][cut] > 0 && counts[stream][cut] < tensor.count && prefixes[stream][cut] != nil
    }
    let pairs = (0..<streams).flatMap { stream in [(stream, 0), (stream, 1)] }.filter { isOpen($0.0, $0.1) }
    guard !pairs.isEmpty else { return cuts.map { MagnitudeBand(kept: $0[0], dropped: $0[1]) } }
    let lower = try Histograms(streams: pairs.count, tensor: tensor, binCount: 32_768)
    try tensor.forBlocks(buffers: buffers) { (block) throws(BoneSoupError) in
      try fill(block) { block.buffer(first + $0) }
      for (number, pair) in pairs.enumerated() {
        guard let prefix = prefixes[pair.0][pair.1]?.bin else { continue }
        kernels.magnitudeHistogram(
          block.buffer(first + pair.0), count: block.count, prefix: UInt32(prefix),
          into: lower.bins(number, block.slot))
      }
    }
    var partial: [(stream: Int, cut: Int)] = []
    for (number, pair) in pairs.enumerated() {
      guard let upper = prefixes[pair.0][pair.1],
        let place = lower.place(of: counts[pair.0][pair.1], stream: number, from: upper.above)
      else { throw .internalFault("\(tensor.name) changed between two readings") }
      let kept = counts[pair.0][pair.1] - place.above
      cuts[pair.0][pair.1] = MagnitudeBand.Cut(
        bits: UInt32(upper.bin << 15 | place.bin), kept: kept, equal: place.count)
      if kept < place.count { partial.append((pair.0, pair.1)) }
    }
    if !partial.isEmpty { try locate(partial, &cuts) }
    return cuts.map { MagnitudeBand(kept: $0[0], dropped: $0[1]) }
  }

  /// Finds the block in which the equals that are in end.
  private func locate(
    _ partial: [(stream: Int, cut: Int)], _ cuts: inout [[MagnitudeBand.Cut]]
  ) throws(BoneSoupError) {
    let kernels = tensor.kernels
    let blocks = tensor.shape.blockCount(ofRows: false)
    let counted = try Buffer(
      of: UInt32.self, count: partial.count * blocks, allocator: tensor.engine.allocator, purpose: "counts of equals")
    defer { withExtendedLifetime(counted) {} }
    let numbers = counted.elements(UInt32.self)
    let wanted = partial.map { cuts[$0.stream][$0.cut].bits }
    try tensor.forBlocks(buffers: buffers) { (block) throws(BoneSoupError) in
      try fill(block) { block.buffer(first + $0) }
      for (number, pair) in partial.enumerated() {
        let found = kernels.magnitudeCount(block.buffer(first + pair.stream), count: block.count, bits: wanted[number])
        numbers[number * blocks + block.index] = UInt32(truncatingIfNeeded: found)
      }
    }
    for (number, pair) in partial.enumerated() {
      var before = 0
      for block in 0..<blocks {
        let count = Int(numbers[number * blocks + block])
        if before + count >= cuts[pair.stream][pair.cut].kept {
          cuts[pair.stream][pair.cut].block = block
          cuts[pair.stream][pair.cut].before = before
          break
        }
        before += count
      }
    }
  }
}

/// One histogram for each stream and thread.
private struct Histograms {
  private let memory: Buffer
  private let streams: Int
  private let slots: Int
  private let binCount: Int

  init(streams: Int, tensor: MergeTensor, binCount: Int) throws(BoneSoupError) {
    self.streams = streams
    self.binCount = binCount
    slots = tensor.pool.threadCount
    memory = try Buffer(
      of: UInt32.self, count: streams * slots * binCount, allocator: tensor.engine.allocator, purpose: "histograms")
    memory.elements(UInt32.self).update(repeating: 0, count: streams * slots * binCount)
  }

  func bins(_ stream: Int, _ slot: Int) -> UnsafeMutablePointer<UInt32> {
    memory.elements(UInt32.self) + (stream * slots + slot) * binCount
  }

  func total(_ stream: Int, bin: Int) -> Int {
    (0..<slots).reduce(0) { $0 + Int(bins(stream, $1)[bin]) }
  }

  struct Place {
    let bin: Int
    /// Elements in the bin, and in the ones above it.
    let count: Int
    let above: Int
  }

  /// The bin in which the k-th greatest lies; nil where there is none.
  ///
  /// - Parameter above: how many are greater than all that are counted here.
  func place(of k: Int, stream: Int, from above: Int) -> Place? {
    var above = above
    guard k > above else { return nil }
    for bin in stride(from: binCount - 1, through: 0, by: -1) {
      let count = total(stream, bin: bin)
      if above + count >= k { return Place(bin: bin, count: count, above: above) }
      above += count
    }
    return nil
  }
}
