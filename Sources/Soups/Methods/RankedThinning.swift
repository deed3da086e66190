import Kernels
import Platform

/// DELLA's thinning of one model (arXiv 2406.11617): in each row, an element is kept with a probability that rises with the
/// rank of its magnitude, from density − epsilon to density + epsilon.
struct RankedThinning: Sendable {
  /// Buffers of what ranking needs beside the row.
  static let buffers = 4

  private let length: Int
  /// For each rank, ascending: words below are kept.
  private let limits: Buffer

  init(_ tensor: MergeTensor, model: Int, density: Double) throws(BoneSoupError) {
    let epsilon = tensor.values.number("epsilon", model: model)
    guard density + epsilon < 1, density - epsilon > 0 else {
      throw .invalidArgument(
        "\(tensor.name): density \(density) and epsilon \(epsilon) give probabilities outside 0 to 1; density ± epsilon "
          + "must lie between")
    }
    length = tensor.shape.rowLength
    guard length < Int(UInt32.max) else { throw .unsupported("\(tensor.name) has rows of \(length) elements") }
    limits = try Buffer(of: UInt32.self, count: length, allocator: tensor.engine.allocator, purpose: "probabilities")
    for rank in 0..<length {
      // In f32, as mergekit has it; a row of one element has no ranks.
      let share = length > 1 ? Float(rank) / Float(length - 1) : 0.5
      let probability = Float(density - epsilon) + share * 2 * Float(epsilon)
      limits.elements(UInt32.self)[rank] = UInt32(min(max(Double(probability), 0), 1 - 0x1p-32) * 0x1p32)
    }
  }

  /// Elements of a block of whole rows that are not kept become 0.
  ///
  /// - Parameters:
  ///   - words: the elements' random words.
  ///   - room: four buffers of the block.
  func prune(
    _ x: UnsafeMutablePointer<Float>, count: Int, words: UnsafePointer<UInt32>, room: UnsafeMutablePointer<Float>,
    kernels: Kernels
  ) {
    let records = UnsafeMutableRawPointer(room).alignedUp(for: UInt64.self).assumingMemoryBound(to: UInt64.self)
    for start in stride(from: 0, to: count, by: length) {
      kernels.pruneRow(
        x + start, count: length, words: words + start, limits: limits.elements(UInt32.self), scratch: records)
    }
  }
}
