import Kernels
import Platform
import Transformer

/// The right singular vectors of a tall matrix A [p × q], p ≥ q, and its squared singular values: the eigenvectors and
/// eigenvalues of AᵀA, which is summed in f64 from the f32 elements, exactly multiplied.
///
/// Singular values below 1e-7 of the largest are rounding of f32 and count as none.
struct GramEigen {
  let rows: Int
  let columns: Int
  let eigen: SymmetricEigen
  /// How many singular values are above the rounding.
  let rank: Int
  /// ‖A‖² (Frobenius).
  let squaredNorm: Double

  static func byteCount(columns: Int) -> Int { columns * columns * 8 + SymmetricEigen.byteCount(size: columns) }

  /// - Parameter matrix: row-major, p·q finite numbers.
  init(
    _ matrix: UnsafePointer<Float>, rows: Int, columns: Int, kernels: Kernels, pool: ThreadPool, allocator: Allocator,
    monitor: Monitor
  ) throws(BoneSoupError) {
    self.rows = rows
    self.columns = columns
    let gram = try Buffer(of: Double.self, count: columns * columns, allocator: allocator, purpose: "a Gram matrix")
    defer { withExtendedLifetime(gram) {} }
    let g = gram.elements(Double.self)
    g.update(repeating: 0, count: columns * columns)
    let strip = 32
    // The longest strips first, so that threads end together.
    let strips = (columns + strip - 1) / strip
    for start in stride(from: 0, to: rows, by: 4096) {
      try monitor.check()
      let depth = min(4096, rows - start)
      let part = matrix + start * columns
      pool.run(parts: strips) { index in
        let i = (strips - 1 - index) * strip
        let count = min(strip, columns - i)
        kernels.multiplyDoubles(
          a: part + i, aRow: 1, aColumn: columns, b: part, ldb: columns, m: count, n: i + count, k: depth,
          c: g + i * columns, ldc: columns)
      }
    }
    var trace = 0.0
    for i in 0..<columns {
      trace += g[i * columns + i]
      for j in 0..<i { g[j * columns + i] = g[i * columns + j] }
    }
    guard trace.isFinite else { throw .malformed("a matrix to be decomposed holds NaN or infinity") }
    squaredNorm = trace
    eigen = try SymmetricEigen(g, size: columns, kernels: kernels, pool: pool, allocator: allocator, monitor: monitor)
    let values = eigen.values.elements(Double.self)
    var rank = 0
    while rank < columns, values[rank] > 1e-14 * values[0], values[rank] > 0 { rank += 1 }
    self.rank = rank
  }

  /// σ of number `index`, in descending order.
  func singularValue(_ index: Int) -> Double { max(0, eigen.values.elements(Double.self)[index]).squareRoot() }
}
