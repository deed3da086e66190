import Kernels
import Platform
import Transformer

extension GramEigen {
  /// Bytes of large memory that `spectrum` takes.
  static func spectrumByteCount(rows: Int, columns: Int, threadCount: Int) -> Int {
    16 * columns * columns + 4 * rows * columns + 20 * 32 * columns * threadCount
  }

  /// Σⱼ gⱼ·uⱼ·vⱼᵀ, f32 [rows × columns], over the singular triples (σⱼ, uⱼ, vⱼ) of A: A with other singular values.
  ///
  /// - Parameters:
  ///   - tall: A.
  ///   - gain: gⱼ from j and σⱼ.
  func spectrum(
    of tall: UnsafePointer<Float>, engine: Engine, pool: ThreadPool, monitor: Monitor,
    gain: (_ index: Int, _ value: Double) -> Double
  ) throws(BoneSoupError) -> Buffer {
    let (p, q, r) = (rows, columns, rank)
    let allocator = engine.allocator
    let result = try Buffer(of: Float.self, count: p * q, allocator: allocator, purpose: "a matrix of other spectrum")
    let out = result.elements(Float.self)
    guard r > 0 else {
      out.update(repeating: 0, count: p * q)
      return result
    }
    let divided = try Buffer(of: Double.self, count: q * r, allocator: allocator, purpose: "singular vectors")
    let scaled = try Buffer(of: Double.self, count: r * q, allocator: allocator, purpose: "singular vectors")
    let vectors = eigen.vectors.elements(Double.self)
    for j in 0..<r {
      let value = singularValue(j)
      let g = gain(j, value)
      for k in 0..<q {
        divided.elements(Double.self)[k * r + j] = vectors[j * q + k] / value
        scaled.elements(Double.self)[j * q + k] = vectors[j * q + k] * g
      }
    }
    let strip = 32
    let slots = pool.threadCount
    let wide = try Buffer(
      of: Double.self, count: slots * strip * (r + q), allocator: allocator, purpose: "a strip of rows")
    let narrow = try Buffer(of: Float.self, count: slots * strip * r, allocator: allocator, purpose: "a strip of rows")
    Workers(pool: pool, count: (p + strip - 1) / strip).run(monitor: monitor) { (index, slot) in
      let first = index * strip
      let count = min(strip, p - first)
      let left = wide.elements(Double.self) + slot * strip * (r + q)
      let sum = left + strip * r
      let rounded = narrow.elements(Float.self) + slot * strip * r
      left.update(repeating: 0, count: count * r)
      engine.kernels.multiplyDoubles(
        a: tall + first * q, aRow: q, aColumn: 1, b: divided.elements(Double.self), ldb: r, m: count, n: r, k: q,
        c: left, ldc: r)
      for element in 0..<count * r { rounded[element] = Float(left[element]) }
      sum.update(repeating: 0, count: count * q)
      engine.kernels.multiplyDoubles(
        a: rounded, aRow: r, aColumn: 1, b: scaled.elements(Double.self), ldb: q, m: count, n: q, k: r, c: sum, ldc: q)
      for element in 0..<count * q { out[first * q + element] = Float(sum[element]) }
    }
    try monitor.check()
    return result
  }
}
