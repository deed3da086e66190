import Kernels
import Platform

/// Spherical interpolation from the base to one model, each tensor as one vector; along the line where they are all but
/// parallel (cosine above 0.9995 in magnitude).
struct Slerp: MergeMethod {
  let declaration = MethodDeclaration(
    "slerp", "spherical interpolation from the base to one model", base: .required, models: 1...1, negative: .factor,
    [MethodParameter("t", default: nil, "0 is the base, 1 the model")])

  private static let parallel = 0.9995
  private static let smallest = 1e-8

  func byteCount(_ shape: MergeShape) -> Int {
    shape.blockBytes(buffers: 2) + 24 * shape.blockCount(ofRows: false)
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let t = tensor.values.number("t")
    let kernels = tensor.kernels
    let sums = try tensor.sum(buffers: 2) { (block) throws(BoneSoupError) in
      let (a, b) = (block.buffer(0), block.buffer(1))
      try tensor.readBase(block, into: a)
      try tensor.readModel(0, block, into: b)
      return Correlation(
        first: kernels.productSum(a, a, count: block.count), second: kernels.productSum(b, b, count: block.count),
        product: kernels.productSum(a, b, count: block.count))
    }
    func length(_ square: Double) -> Double { square.squareRoot() > Self.smallest ? square.squareRoot() : 1 }
    let cosine = min(max(sums.product / (length(sums.first) * length(sums.second)), -1), 1)
    var (ca, cb) = (1 - t, t)
    if cosine.magnitude <= Self.parallel {
      let angle = arcCosine(cosine)
      let sine = sineCosine(angle).sine
      ca = sineCosine((1 - t) * angle).sine / sine
      cb = sineCosine(t * angle).sine / sine
    }
    try tensor.forBlocks(buffers: 2) { (block) throws(BoneSoupError) in
      let (a, b) = (block.buffer(0), block.buffer(1))
      try tensor.readBase(block, into: a)
      try tensor.readModel(0, block, into: b)
      kernels.combine(a, times: Float(ca), b, times: Float(cb), count: block.count, into: a)
      try tensor.write(a, block)
    }
  }
}
