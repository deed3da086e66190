import Kernels
import Platform
import Transformer

/// Makes `count` vectors of `length` numbers orthonormal in place, in their order.
///
/// Modified Gram-Schmidt over all earlier vectors at once, twice ("twice is enough", Kahan; Giraud et al. 2005). A
/// vector that the earlier ones span becomes 0.
func orthonormalize(
  _ vectors: UnsafeMutablePointer<Float>, count: Int, length: Int, engine: Engine, monitor: Monitor
) throws(BoneSoupError) {
  let products = try Buffer(of: Double.self, count: count, allocator: engine.allocator, purpose: "inner products")
  let product = products.elements(Double.self)
  let piece = 4096
  for index in 0..<count {
    try monitor.check()
    let vector = vectors + index * length
    let before = productSum(vector, vector, length)
    var after = before
    for _ in 0..<2 where index > 0 && after > 0 {
      engine.pool.run(parts: index) { product[$0] = productSum(vectors + $0 * length, vector, length) }
      engine.pool.run(parts: (length + piece - 1) / piece) { part in
        let start = part * piece
        for earlier in 0..<index {
          engine.kernels.scaleAdd(
            coefficient: Float(-product[earlier]), type: .f32, source: vectors + earlier * length + start,
            count: min(piece, length - start), into: vector + start)
        }
      }
      after = productSum(vector, vector, length)
    }
    // What is left of a vector inside the span of the others is rounding.
    let isIndependent = after > before * 1e-11 && after.isFinite
    let scale = isIndependent ? Float(1 / after.squareRoot()) : 0
    for place in 0..<length { vector[place] *= scale }
  }
}
