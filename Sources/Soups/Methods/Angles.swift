import Kernels
import Platform

/// The angle in [0, π] whose cosine is x, within about 1e-15: Newton's iteration on our own cosine, so that results do
/// not change with the C library.
func arcCosine(_ x: Double) -> Double {
  guard x < 1 else { return 0 }
  guard x > -1 else { return .pi }
  // Abramowitz & Stegun 4.4.45, within 7e-5, as a start.
  let y = x.magnitude
  let start = (1 - y).squareRoot() * (1.5707288 + y * (-0.2121144 + y * (0.0742610 - y * 0.0187293)))
  var angle = x < 0 ? .pi - start : start
  for _ in 0..<3 {
    let (sine, cosine) = sineCosine(angle)
    guard sine != 0 else { break }
    angle += (cosine - x) / sine
  }
  return angle
}

/// Inner products of two vectors and of each with itself.
struct Correlation {
  var first = 0.0
  var second = 0.0
  var product = 0.0

  static func += (total: inout Correlation, part: Correlation) {
    total.first += part.first
    total.second += part.second
    total.product += part.product
  }
}

extension MergeTensor {
  /// Sums over all blocks in their order, whichever threads computed them.
  func sum(
    buffers: Int, _ part: (Block) throws(BoneSoupError) -> Correlation
  ) throws(BoneSoupError) -> Correlation {
    let blocks = shape.blockCount(ofRows: false)
    let memory = try Buffer(
      of: Correlation.self, count: blocks, allocator: engine.allocator, purpose: "the sums of blocks")
    defer { withExtendedLifetime(memory) {} }
    let parts = memory.elements(Correlation.self)
    try forBlocks(buffers: buffers) { (block) throws(BoneSoupError) in parts[block.index] = try part(block) }
    var total = Correlation()
    for index in 0..<blocks { total += parts[index] }
    return total
  }
}
