import Kernels
import Platform

/// Where in a tensor the bands' cuts lie: how many equals come before each block, counted in one pass where only some of a
/// cut's equals are in.
struct BandPlaces: @unchecked Sendable {
  private let bands: [MagnitudeBand]
  private let blocks: Int
  /// For each band and block, and one behind the last: the equals before it. nil where all of them are in, or none.
  private let memory: Buffer?

  /// For the cut `kept` and the cut `dropped` of a band.
  private typealias Pair = (kept: Int, dropped: Int)

  static func byteCount(_ shape: MergeShape, bands: Int) -> Int {
    16 * bands * (shape.blockCount(ofRows: false) + 1)
  }

  /// - Parameters:
  ///   - buffers: of a block.
  ///   - fill: computes the block.
  ///   - stream: the elements that a band is of.
  init(
    _ bands: [MagnitudeBand], _ tensor: MergeTensor, buffers: Int,
    fill: (MergeTensor.Block) throws(BoneSoupError) -> Void,
    stream: (MergeTensor.Block, Int) -> UnsafeMutablePointer<Float>
  ) throws(BoneSoupError) {
    self.bands = bands
    let blocks = tensor.shape.blockCount(ofRows: false)
    self.blocks = blocks
    guard bands.contains(where: { $0.kept.isPartial || $0.dropped.isPartial }) else {
      memory = nil
      return
    }
    let memory = try Buffer(
      of: Pair.self, count: bands.count * (blocks + 1), allocator: tensor.engine.allocator, purpose: "counts of equals")
    self.memory = memory
    let before = memory.elements(Pair.self)
    let kernels = tensor.kernels
    try tensor.forBlocks(buffers: buffers) { (block) throws(BoneSoupError) in
      try fill(block)
      for (index, band) in bands.enumerated() {
        func count(_ cut: MagnitudeBand.Cut) -> Int {
          cut.isPartial ? kernels.magnitudeCount(stream(block, index), count: block.count, bits: cut.bits) : 0
        }
        before[index * (blocks + 1) + block.index + 1] = (count(band.kept), count(band.dropped))
      }
    }
    for index in bands.indices {
      let own = before + index * (blocks + 1)
      own[0] = (0, 0)
      for block in 1...blocks {
        own[block] = (own[block - 1].kept + own[block].kept, own[block - 1].dropped + own[block].dropped)
      }
    }
  }

  /// Elements of the block outside the bands become 0.
  ///
  /// - Parameter stream: the elements that a band is of.
  func keep(_ block: MergeTensor.Block, kernels: Kernels, stream: (Int) -> UnsafeMutablePointer<Float>) {
    for (index, band) in bands.enumerated() {
      var (equals, before): (Pair, Pair) = ((0, 0), (0, 0))
      if let memory {
        let own = memory.elements(Pair.self) + index * (blocks + 1) + block.index
        before = own[0]
        equals = (own[1].kept - before.kept, own[1].dropped - before.dropped)
      }
      band.keep(stream(index), count: block.count, equals: equals, before: before, kernels: kernels)
    }
  }
}
