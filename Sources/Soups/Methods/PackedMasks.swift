import Kernels
import Platform

/// Which elements of a tensor are kept: one bit each, block by block.
struct PackedMasks: Sendable {
  private let memory: Buffer
  private let stride: Int

  private static func stride(_ shape: MergeShape, _ ofRows: Bool) -> Int {
    (shape.blockLength(ofRows: ofRows) + 15) / 16
  }

  static func byteCount(_ shape: MergeShape, ofRows: Bool) -> Int {
    2 * stride(shape, ofRows) * shape.blockCount(ofRows: ofRows)
  }

  /// - Parameter ofRows: whether blocks are whole rows.
  init(_ shape: MergeShape, ofRows: Bool, allocator: Allocator) throws(BoneSoupError) {
    stride = Self.stride(shape, ofRows)
    memory = try Buffer(
      byteCount: Self.byteCount(shape, ofRows: ofRows), allocator: allocator, purpose: "a mask of what is kept")
  }

  private func bits(_ block: MergeTensor.Block) -> UnsafeMutablePointer<UInt16> {
    memory.elements(UInt16.self) + block.index * stride
  }

  func set(from chosen: UnsafePointer<Float>, block: MergeTensor.Block, kernels: Kernels) {
    kernels.packChosen(chosen, count: block.count, into: bits(block))
  }

  /// Chooses the elements whose words are below the limit, and returns Σ|x| of these.
  func draw(
    _ x: UnsafePointer<Float>, words: UnsafePointer<UInt32>, limit: UInt32, block: MergeTensor.Block, kernels: Kernels
  ) -> Double {
    kernels.draw(x, words: words, limit: limit, count: block.count, bits: bits(block))
  }

  func apply(to x: UnsafeMutablePointer<Float>, block: MergeTensor.Block, kernels: Kernels) {
    kernels.keepPacked(x, bits: bits(block), count: block.count)
  }
}
