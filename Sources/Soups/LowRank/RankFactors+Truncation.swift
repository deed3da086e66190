import Kernels
import Platform
import Transformer

extension RankFactors {
  /// The best approximation of rank `rank` in the Frobenius norm (Eckart & Young 1936), for factors whose left
  /// vectors are orthonormal or 0: the leading eigenvectors of right·rightᵀ turn both.
  func leading(_ rank: Int, of eigen: SymmetricEigen, engine: Engine) throws(BoneSoupError) -> RankFactors {
    let result = try RankFactors(rank: rank, rows: rows, columns: columns, engine: engine)
    for (source, target, length) in [(left, result.left, rows), (right, result.right, columns)] {
      engine.pool.run(parts: rank) { index in
        let out = target.elements(Float.self) + index * length
        out.update(repeating: 0, count: length)
        let weights = eigen.vectors.elements(Double.self) + index * self.rank
        for term in 0..<self.rank {
          engine.kernels.scaleAdd(
            coefficient: Float(weights[term]), type: .f32, source: source.elements(Float.self) + term * length,
            count: length, into: out)
        }
      }
    }
    return result
  }

  /// The eigenvalues σ² and eigenvectors of right·rightᵀ, summed in f64.
  func spectrum(engine: Engine, monitor: Monitor) throws(BoneSoupError) -> SymmetricEigen {
    let matrix = try Buffer(
      of: Double.self, count: rank * rank, allocator: engine.allocator, purpose: "a Gram matrix")
    let gram = matrix.elements(Double.self)
    let wide = try Buffer(of: Double.self, count: rank * columns, allocator: engine.allocator, purpose: "a subspace")
    let doubles = wide.elements(Double.self)
    for index in 0..<rank * columns { doubles[index] = Double(right.elements(Float.self)[index]) }
    engine.pool.run(parts: rank) { row in
      if monitor.isCancelled { return }
      for column in 0...row {
        let sum = engine.kernels.dotDoubles(
          doubles + row * columns, doubles + column * columns, count: columns)
        gram[row * rank + column] = sum
        gram[column * rank + row] = sum
      }
    }
    try monitor.check()
    return try SymmetricEigen(
      gram, size: rank, kernels: engine.kernels, pool: engine.pool, allocator: engine.allocator, monitor: monitor)
  }

  /// The same product with orthonormal left vectors: left = Q·C, so the product is Qᵀ(Cᵀ·right).
  func orthogonalized(engine: Engine, monitor: Monitor) throws(BoneSoupError) -> RankFactors {
    let result = try RankFactors(rank: rank, rows: rows, columns: columns, engine: engine)
    result.left.elements(Float.self).update(from: left.elements(Float.self), count: rank * rows)
    try orthonormalize(
      result.left.elements(Float.self), count: rank, length: rows, engine: engine, monitor: monitor)
    engine.pool.run(parts: rank) { index in
      if monitor.isCancelled { return }
      let out = result.right(index)
      out.update(repeating: 0, count: columns)
      for term in 0..<rank {
        let share = productSum(result.left(index), left(term), rows)
        engine.kernels.scaleAdd(
          coefficient: Float(share), type: .f32, source: right(term), count: columns, into: out)
      }
    }
    try monitor.check()
    return result
  }

  /// The best approximation of at most `limit` ranks.
  func recompressed(to limit: Int, engine: Engine, monitor: Monitor) throws(BoneSoupError) -> RankFactors {
    guard rank > limit else { return self }
    let turned = try orthogonalized(engine: engine, monitor: monitor)
    let eigen = try turned.spectrum(engine: engine, monitor: monitor)
    return try turned.leading(limit, of: eigen, engine: engine)
  }
}
