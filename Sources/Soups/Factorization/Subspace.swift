import Kernels
import Platform
import Transformer

/// The first singular vectors of a matrix by subspace iteration (Halko, Martinsson, Tropp, arXiv 0909.4061, algorithm 4.4).
struct Subspace {
  private let matrix: UnsafePointer<Float>
  private let rows: Int
  private let columns: Int
  private let engine: Engine
  private let pool: ThreadPool

  /// Passes over the matrix beyond the first: fine-tunes' spectra fall slowly.
  private static let iterations = 6

  init(_ matrix: UnsafePointer<Float>, rows: Int, columns: Int, engine: Engine, pool: ThreadPool) {
    self.matrix = matrix
    self.rows = rows
    self.columns = columns
    self.engine = engine
    self.pool = pool
  }

  /// Vectors that are iterated for `rank` wanted ones.
  static func width(_ rank: Int, of size: Int) -> Int { min(size, rank + max(16, rank / 2)) }

  func compute(rank: Int, monitor: Monitor) throws(BoneSoupError) -> SVD {
    let (kernels, allocator) = (engine.kernels, engine.allocator)
    guard kernels.firstNonFinite(type: .f32, source: matrix, count: rows * columns) == nil else {
      throw .malformed("a matrix to be decomposed holds NaN or infinity")
    }
    let width = Self.width(rank, of: min(rows, columns))
    let turned = try SVD.transposed(
      matrix, rows: rows, columns: columns, engine: engine, pool: pool, monitor: monitor)
    let other = UnsafePointer(turned.elements(Float.self))
    let inner = try Buffer(of: Float.self, count: width * columns, allocator: allocator, purpose: "a subspace")
    let outer = try Buffer(of: Float.self, count: width * rows, allocator: allocator, purpose: "a subspace")
    defer { withExtendedLifetime((turned, inner, outer)) {} }
    let (w, y) = (inner.elements(Float.self), outer.elements(Float.self))
    let random = Philox(seed: 0)
    for index in 0..<width * columns { w[index] = Float(random.uniform(step: UInt64(index)) - 0.5) }
    for _ in 0..<Self.iterations {
      try orthonormalise(w, count: width, length: columns, monitor: monitor)
      try multiply(w, by: matrix, count: width, length: columns, outputs: rows, into: y)
      try multiply(y, by: other, count: width, length: rows, outputs: columns, into: w)
    }
    try orthonormalise(w, count: width, length: columns, monitor: monitor)
    try multiply(w, by: matrix, count: width, length: columns, outputs: rows, into: y)
    return try finish(w, y, width: width, rank: rank, monitor: monitor)
  }

  /// M ≈ Y·W with orthonormal rows of W [width × columns], Y = M·Wᵀ: Y's own decomposition gives M's.
  private func finish(
    _ w: UnsafeMutablePointer<Float>, _ y: UnsafeMutablePointer<Float>, width: Int, rank: Int, monitor: Monitor
  ) throws(BoneSoupError) -> SVD {
    let tall = try SVD.transposed(y, rows: width, columns: rows, engine: engine, pool: pool, monitor: monitor)
    defer { withExtendedLifetime(tall) {} }
    let small = try GramEigen(
      tall.elements(Float.self), rows: rows, columns: width, kernels: engine.kernels, pool: pool,
      allocator: engine.allocator, monitor: monitor)
    let part = try SVD.assemble(
      small, tall.elements(Float.self), rank: min(rank, small.rank), isTall: true, engine: engine, pool: pool,
      monitor: monitor)
    // Vᵀ of M = Vᵀ of Y · W.
    let right = try Buffer(
      of: Float.self, count: part.rank * columns, allocator: engine.allocator, purpose: "singular vectors")
    let turned = try SVD.transposed(w, rows: width, columns: columns, engine: engine, pool: pool, monitor: monitor)
    defer { withExtendedLifetime((turned, part)) {} }
    try multiply(
      part.right.elements(Float.self), by: turned.elements(Float.self), count: part.rank, length: width,
      outputs: columns, into: right.elements(Float.self))
    var squares = 0.0
    for index in 0..<rows * columns { squares += Double(matrix[index]) * Double(matrix[index]) }
    var kept = 0.0
    for index in 0..<part.rank {
      let value = part.values.elements(Double.self)[index]
      kept += value * value
    }
    let error = squares > 0 ? (max(0, squares - kept) / squares).squareRoot() : 0
    return SVD(
      rows: rows, columns: columns, rank: part.rank, left: part.left, values: part.values, right: right, error: error)
  }

  /// y[i, j] = Σ_k x[i, k]·matrix[j, k].
  private func multiply(
    _ x: UnsafePointer<Float>, by matrix: UnsafePointer<Float>, count: Int, length: Int, outputs: Int,
    into y: UnsafeMutablePointer<Float>
  ) throws(BoneSoupError) {
    let kernels = engine.kernels
    let groups = TokenGroups(tokens: count)
    let input = try Buffer(
      byteCount: groups.places * kernels.tokenBytes(.f32, columns: length), allocator: engine.allocator,
      purpose: "the rows of a product")
    for index in 0..<groups.count {
      kernels.packInput(
        .f32, x: x, ldx: length, columns: length, groups: groups, index: index, into: input.pointer)
    }
    let panelBytes = kernels.panelBytes(.f32, columns: length)
    let scratch = try Buffer(
      byteCount: pool.threadCount * panelBytes, allocator: engine.allocator, purpose: "the columns of a product")
    let panels = (outputs + Kernels.panelRows - 1) / Kernels.panelRows
    Workers(pool: pool, count: panels).run(monitor: .none) { index, slot in
      let panel = scratch.pointer + slot * panelBytes
      let first = index * Kernels.panelRows
      let rows = min(Kernels.panelRows, outputs - first)
      kernels.packRows(
        .f32, type: .f32, rows: matrix + first * length, ld: length, count: rows, columns: length, range: 0..<length,
        into: panel)
      groups.withView { groups in
        kernels.matmul(
          weights: MatmulFactor(
            panels: panel, format: .f32, columns: length, panelBytes: panelBytes, input: input.pointer),
          adapter: nil, groups: groups, groupRange: 0..<groups.count, panels: 0..<1, rows: rows, start: nil,
          startStride: 0, y: y + first, ldy: outputs, scratch: nil)
      }
    }
  }

  /// Gram-Schmidt on the rows in f64, twice, which is enough; rows that depend on earlier ones become zero.
  private func orthonormalise(
    _ rows: UnsafeMutablePointer<Float>, count: Int, length: Int, monitor: Monitor
  ) throws(BoneSoupError) {
    let kernels = engine.kernels
    let wide = try Buffer(of: Double.self, count: count * length, allocator: engine.allocator, purpose: "a subspace")
    defer { withExtendedLifetime(wide) {} }
    let w = wide.elements(Double.self)
    for index in 0..<count * length { w[index] = Double(rows[index]) }
    for i in 0..<count {
      try monitor.check()
      let row = w + i * length
      let before = kernels.dotDoubles(row, row, count: length)
      for _ in 0..<2 {
        for j in 0..<i {
          let other = w + j * length
          kernels.scaleAddDoubles(
            coefficient: -kernels.dotDoubles(row, other, count: length), x: other, count: length, y: row)
        }
      }
      let square = kernels.dotDoubles(row, row, count: length)
      let scale = square > 1e-24 * before && square > 0 ? 1 / square.squareRoot() : 0
      for k in 0..<length { row[k] *= scale }
    }
    for index in 0..<count * length { rows[index] = Float(w[index]) }
  }
}
