import Glibc
import Kernels
import Platform
import Synchronization

/// One pass over a tensor that keeps bands. Where only some of a cut's equals are in, each block has to know how many came
/// before it: blocks are taken up in their order, and each one waits until the one before it has counted.
final class BandPass: Sendable {
  private let bands: [MagnitudeBand]
  private let isOrdered: Bool
  /// The block whose turn it is.
  private let turn = Atomic<Int>(0)
  private let hasFailed = Atomic<Bool>(false)
  private let memory: Buffer

  /// For the cut `kept` and the cut `dropped` of a band.
  private typealias Pair = (kept: Int, dropped: Int)

  init(_ bands: [MagnitudeBand], _ tensor: MergeTensor) throws(BoneSoupError) {
    self.bands = bands
    isOrdered = bands.contains { $0.kept.isPartial || $0.dropped.isPartial }
    let count = bands.count * (1 + 2 * tensor.pool.threadCount)
    memory = try Buffer(of: Pair.self, count: count, allocator: tensor.engine.allocator, purpose: "counts of equals")
    memory.elements(Pair.self).update(repeating: (0, 0), count: count)
  }

  static func byteCount(_ shape: MergeShape, bands: Int) -> Int { 16 * bands * (1 + 2 * shape.threadCount) }

  /// Equals in all blocks so far, for each band; only the block whose turn it is touches them.
  private var totals: UnsafeMutablePointer<Pair> { memory.elements(Pair.self) }

  /// Elements of the block outside the bands become 0.
  ///
  /// - Parameters:
  ///   - read: fills the block.
  ///   - stream: the elements that a band is of.
  func keep(
    _ block: MergeTensor.Block, kernels: Kernels, read: () throws(BoneSoupError) -> Void,
    stream: (Int) -> UnsafeMutablePointer<Float>
  ) throws(BoneSoupError) {
    do throws(BoneSoupError) { try read() } catch {
      // Nobody is to wait for this block.
      hasFailed.store(true, ordering: .releasing)
      throw error
    }
    let equals = totals + bands.count * (1 + 2 * block.slot)
    let before = equals + bands.count
    for (index, band) in bands.enumerated() {
      func count(_ cut: MagnitudeBand.Cut) -> Int {
        cut.isPartial ? kernels.magnitudeCount(stream(index), count: block.count, bits: cut.bits) : 0
      }
      equals[index] = (count(band.kept), count(band.dropped))
    }
    if isOrdered {
      try waitForTurn(of: block.index)
      for index in bands.indices {
        before[index] = totals[index]
        totals[index].kept += equals[index].kept
        totals[index].dropped += equals[index].dropped
      }
      turn.store(block.index + 1, ordering: .releasing)
    }
    for (index, band) in bands.enumerated() {
      band.keep(stream(index), count: block.count, equals: equals[index], before: before[index], kernels: kernels)
    }
  }

  /// The block before was taken up before this one, so its thread is at work or has failed.
  private func waitForTurn(of block: Int) throws(BoneSoupError) {
    var looks = 0
    while turn.load(ordering: .acquiring) != block {
      if hasFailed.load(ordering: .acquiring) { throw .cancelled }
      looks += 1
      if looks > 1000 { sched_yield() }
    }
  }
}
