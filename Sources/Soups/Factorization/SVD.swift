import Kernels
public import Platform
public import Transformer

/// The singular value decomposition M ≈ U·diag(σ)·Vᵀ of an f32 matrix, whole or cut to a rank or an error.
///
/// A rank well below the matrix's size is found by subspace iteration from random vectors (Halko, Martinsson, Tropp 2011,
/// arXiv 0909.4061), anything else from the Gram matrix of the smaller side in f64. The same bits whatever the number of
/// threads.
public struct SVD: Sendable {
  public enum Limit: Sendable {
    /// Every singular value above f32's rounding (1e-7 of the largest).
    case none
    /// At most so many.
    case rank(Int)
    /// As few as leave ‖M − UΣVᵀ‖ ≤ error·‖M‖ (Frobenius).
    case error(Double)
  }

  public let rows: Int
  public let columns: Int
  public let rank: Int
  /// U, f32 [rows × rank], its columns of length 1.
  public let left: Buffer
  /// σ, f64, descending, `rank` of them.
  public let values: Buffer
  /// Vᵀ, f32 [rank × columns], its rows of length 1.
  public let right: Buffer
  /// ‖M − UΣVᵀ‖ / ‖M‖; 0 for a matrix of zeros.
  public let error: Double

  /// Bytes of large memory that `compute` takes at its peak, the result included, the matrix not.
  public static func byteCount(rows: Int, columns: Int, limit: Limit) -> Int {
    let (long, short) = (max(rows, columns), min(rows, columns))
    if case .rank(let rank) = limit, isSmall(rank, of: short) {
      let width = Subspace.width(rank, of: short)
      return 4 * rows * columns + 4 * width * (rows + columns) + 8 * width * short + GramEigen.byteCount(columns: width)
        + 4 * rank * (rows + columns)
    }
    let turned = rows < columns ? 4 * rows * columns : 0
    return turned + GramEigen.byteCount(columns: short) + 8 * short * short + 4 * short * (long + short)
  }

  static func isSmall(_ rank: Int, of size: Int) -> Bool { Subspace.width(max(rank, 1), of: size) * 4 <= size }

  /// - Parameters:
  ///   - matrix: row-major, rows·columns numbers; NaN and infinity are refused.
  ///   - pool: whose threads work; nil is the engine's.
  public static func compute(
    _ matrix: UnsafePointer<Float>, rows: Int, columns: Int, limit: Limit = .none, engine: Engine,
    pool: ThreadPool? = nil, monitor: Monitor = .none
  ) throws(BoneSoupError) -> SVD {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows > 0, columns > 0, !overflow, count <= Int.max / 16 else {
      throw .invalidArgument("a matrix of \(rows) × \(columns) cannot be decomposed")
    }
    let pool = pool ?? engine.pool
    if case .rank(let rank) = limit, isSmall(rank, of: min(rows, columns)) {
      return try Subspace(matrix, rows: rows, columns: columns, engine: engine, pool: pool)
        .compute(rank: max(rank, 1), monitor: monitor)
    }
    return try whole(
      matrix, rows: rows, columns: columns, limit: limit, engine: engine, pool: pool, monitor: monitor)
  }

  /// From the Gram matrix, whatever the limit.
  static func whole(
    _ matrix: UnsafePointer<Float>, rows: Int, columns: Int, limit: Limit, engine: Engine, pool: ThreadPool,
    monitor: Monitor
  ) throws(BoneSoupError) -> SVD {
    let isTall = rows >= columns
    let turned =
      isTall ? nil : try transposed(matrix, rows: rows, columns: columns, engine: engine, pool: pool, monitor: monitor)
    defer { withExtendedLifetime(turned) {} }
    let tall = turned.map { UnsafePointer($0.elements(Float.self)) } ?? matrix
    let gram = try GramEigen(
      tall, rows: max(rows, columns), columns: min(rows, columns), kernels: engine.kernels, pool: pool,
      allocator: engine.allocator, monitor: monitor)
    let rank = kept(of: gram, limit)
    return try assemble(gram, tall, rank: rank, isTall: isTall, engine: engine, pool: pool, monitor: monitor)
  }

  private static func kept(of gram: GramEigen, _ limit: Limit) -> Int {
    switch limit {
    case .none: return gram.rank
    case .rank(let rank): return min(gram.rank, max(rank, 1))
    case .error(let error):
      var (rank, tail) = (gram.rank, 0.0)
      while rank > 1 {
        let value = gram.singularValue(rank - 1)
        tail += value * value
        guard tail <= error * error * gram.squaredNorm else { break }
        rank -= 1
      }
      return rank
    }
  }

  /// U = A·V·Σ⁻¹ in f64, a strip of rows at a time, and both factors in f32 where they belong.
  static func assemble(
    _ gram: GramEigen, _ tall: UnsafePointer<Float>, rank: Int, isTall: Bool, engine: Engine, pool: ThreadPool,
    monitor: Monitor
  ) throws(BoneSoupError) -> SVD {
    let (p, q) = (gram.rows, gram.columns)
    let allocator = engine.allocator
    let long = try Buffer(of: Float.self, count: p * rank, allocator: allocator, purpose: "singular vectors")
    let short = try Buffer(of: Float.self, count: q * rank, allocator: allocator, purpose: "singular vectors")
    let values = try Buffer(of: Double.self, count: rank, allocator: allocator, purpose: "singular values")
    let scaled = try Buffer(of: Double.self, count: q * rank, allocator: allocator, purpose: "singular vectors")
    let strip = 32
    let strips = try Buffer(
      of: Double.self, count: pool.threadCount * strip * rank, allocator: allocator, purpose: "singular vectors")
    let vectors = gram.eigen.vectors.elements(Double.self)
    let (longOut, shortOut) = (long.elements(Float.self), short.elements(Float.self))
    var squares = 0.0
    for j in 0..<rank {
      let value = gram.singularValue(j)
      squares += value * value
      values.elements(Double.self)[j] = value
      for k in 0..<q {
        let element = vectors[j * q + k]
        scaled.elements(Double.self)[k * rank + j] = element / value
        shortOut[isTall ? j * q + k : k * rank + j] = Float(element)
      }
    }
    let crew = Workers(pool: pool, count: (p + strip - 1) / strip)
    crew.run(monitor: monitor) { (index, slot) in
      let rows = index * strip..<min(index * strip + strip, p)
      let out = strips.elements(Double.self) + slot * strip * rank
      out.update(repeating: 0, count: strip * rank)
      engine.kernels.multiplyDoubles(
        a: tall + rows.lowerBound * q, aRow: q, aColumn: 1, b: scaled.elements(Double.self), ldb: rank, m: rows.count,
        n: rank, k: q, c: out, ldc: rank)
      for row in rows {
        for j in 0..<rank {
          longOut[isTall ? row * rank + j : j * p + row] = Float(out[(row - rows.lowerBound) * rank + j])
        }
      }
    }
    try monitor.check()
    let lost = max(0, gram.squaredNorm - squares)
    return SVD(
      rows: isTall ? p : q, columns: isTall ? q : p, rank: rank, left: isTall ? long : short, values: values,
      right: isTall ? short : long, error: gram.squaredNorm > 0 ? (lost / gram.squaredNorm).squareRoot() : 0)
  }

  /// [columns × rows] of [rows × columns].
  static func transposed(
    _ matrix: UnsafePointer<Float>, rows: Int, columns: Int, engine: Engine, pool: ThreadPool, monitor: Monitor
  ) throws(BoneSoupError) -> Buffer {
    let result = try Buffer(
      of: Float.self, count: rows * columns, allocator: engine.allocator, purpose: "a transposed matrix")
    let out = result.elements(Float.self)
    let side = 32
    pool.run(parts: (rows + side - 1) / side) { part in
      if monitor.isCancelled { return }
      let band = part * side..<min(part * side + side, rows)
      for start in stride(from: 0, to: columns, by: side) {
        for column in start..<min(start + side, columns) {
          for row in band { out[column * rows + row] = matrix[row * columns + column] }
        }
      }
    }
    try monitor.check()
    return result
  }
}
