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

  func apply(to x: UnsafeMutablePointer<Float>, block: MergeTensor.Block, kernels: Kernels) {
    kernels.keepPacked(x, bits: bits(block), count: block.count)
  }
}

/// DELLA's thinning of one model (arXiv 2406.11617): in each row, an element is kept with a probability that rises with the
/// rank of its magnitude, from density − epsilon to density + epsilon.
struct RankedThinning {
  /// θ₀, Δ, words, and the sort's records, which are as long as four buffers.
  static let buffers = 8

  private let tensor: MergeTensor
  private let model: Int
  /// For each rank, ascending: words below are kept.
  private let limits: Buffer

  init(_ tensor: MergeTensor, model: Int, density: Double) throws(BoneSoupError) {
    let epsilon = tensor.values.number("epsilon", model: model)
    guard density + epsilon < 1, density - epsilon > 0 else {
      throw .invalidArgument(
        "\(tensor.name): density \(density) and epsilon \(epsilon) give probabilities outside 0 to 1; density ± epsilon "
          + "must lie between")
    }
    self.tensor = tensor
    self.model = model
    let length = tensor.shape.rowLength
    guard length < Int(UInt32.max) else { throw .unsupported("\(tensor.name) has rows of \(length) elements") }
    limits = try Buffer(of: UInt32.self, count: length, allocator: tensor.engine.allocator, purpose: "probabilities")
    for rank in 0..<length {
      // In f32, as mergekit has it; a row of one element has no ranks.
      let share = length > 1 ? Float(rank) / Float(length - 1) : 0.5
      let probability = Float(density - epsilon) + share * 2 * Float(epsilon)
      limits.elements(UInt32.self)[rank] = UInt32(min(max(Double(probability), 0), 1 - 0x1p-32) * 0x1p32)
    }
  }

  func masks() throws(BoneSoupError) -> PackedMasks {
    let masks = try PackedMasks(tensor.shape, ofRows: true, allocator: tensor.engine.allocator)
    let length = tensor.shape.rowLength
    let limits = limits.elements(UInt32.self)
    try tensor.forBlocks(buffers: Self.buffers, ofRows: true) { (block) throws(BoneSoupError) in
      let x = block.buffer(1)
      try tensor.readBase(block, into: block.buffer(0))
      try tensor.readDelta(model, block, base: block.buffer(0), into: x)
      let words = tensor.words(block, model: model, in: block.buffer(2))
      let records = UnsafeMutableRawPointer(block.buffer(4)).alignedUp(for: UInt64.self)
        .assumingMemoryBound(to: UInt64.self)
      for start in stride(from: 0, to: block.count, by: length) {
        tensor.kernels.pruneRow(x + start, count: length, words: words + start, limits: limits, scratch: records)
      }
      masks.set(from: x, block: block, kernels: tensor.kernels)
    }
    return masks
  }
}
