import Platform
import Transformer

/// TSV-Merge (arXiv 2412.00081): of each task matrix the first 1/n of the singular triples; their left vectors together,
/// and their right ones, are made orthogonal (the nearest such matrix), and the sum put together again. Vectors,
/// embeddings and heads: the mean of the task vectors, as in the published code.
struct Tsv: MergeMethod {
  let declaration = MethodDeclaration(
    "tsv", "the first singular vectors of each task matrix, made orthogonal", base: .required, negative: .signed,
    isForSoups: true,
    [
      .factor, .lambda,
      .averages,
    ])

  private let other = TaskVectorMerge(thinning: .none, elects: false)

  func byteCount(_ shape: MergeShape) -> Int {
    guard shape.isMatrixOfALayer, shape.count > 0 else { return other.byteCount(shape) }
    let (long, short) = (max(shape.rows, shape.rowLength), min(shape.rows, shape.rowLength))
    return 24 * shape.count + 12 * short * (shape.rows + shape.rowLength) + shape.blockBytes(buffers: 2)
      + 2 * GramEigen.byteCount(columns: short) + 8 * short * short
      + GramEigen.spectrumByteCount(rows: long, columns: short, threadCount: shape.threadCount)
      + SVD.byteCount(rows: shape.rows, columns: shape.rowLength, limit: .none)
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    guard tensor.shape.isMatrixOfALayer, tensor.count > 0 else { return try other.merge(tensor) }
    let n = tensor.models.count
    let (rows, columns) = (tensor.shape.rows, tensor.shape.rowLength)
    let share = max(1, min(rows, columns) / n)
    // More models than singular triples: the first ones of each are still one each.
    let width = min(share * n, min(rows, columns))
    let allocator = tensor.engine.allocator
    let left = try Buffer(of: Float.self, count: rows * width, allocator: allocator, purpose: "singular vectors")
    let right = try Buffer(of: Float.self, count: columns * width, allocator: allocator, purpose: "singular vectors")
    left.elements(Float.self).update(repeating: 0, count: rows * width)
    right.elements(Float.self).update(repeating: 0, count: columns * width)
    let values = try Buffer(of: Float.self, count: width, allocator: allocator, purpose: "singular values")
    values.elements(Float.self).update(repeating: 0, count: width)
    for model in 0..<n where model * share < width {
      try collect(tensor, model, share: share, width: width, left, right, values)
    }
    let u = try orthogonal(left, rows: rows, columns: width, tensor)
    let v = try orthogonal(right, rows: columns, columns: width, tensor)
    try tensor.finish(try product(u, values, v, width: width, tensor))
  }

  /// Puts the first singular triples of one task matrix in their columns of U and V.
  private func collect(
    _ tensor: MergeTensor, _ model: Int, share: Int, width: Int, _ left: Buffer, _ right: Buffer, _ values: Buffer
  ) throws(BoneSoupError) {
    let (rows, columns) = (tensor.shape.rows, tensor.shape.rowLength)
    let matrix = try tensor.taskMatrix(model..<model + 1)
    let svd = try tensor.decomposed(matrix, rows: rows, columns: columns, limit: .rank(share))
    let first = model * share
    for j in 0..<min(svd.rank, width - first) {
      values.elements(Float.self)[first + j] = Float(svd.values.elements(Double.self)[j])
      for row in 0..<rows {
        left.elements(Float.self)[row * width + first + j] = svd.left.elements(Float.self)[row * svd.rank + j]
      }
      for column in 0..<columns {
        right.elements(Float.self)[column * width + first + j] = svd.right.elements(Float.self)[j * columns + column]
      }
    }
  }

  /// The orthogonal matrix nearest to this tall one: P·Qᵀ of its decomposition P·D·Qᵀ.
  private func orthogonal(
    _ matrix: Buffer, rows: Int, columns: Int, _ tensor: MergeTensor
  ) throws(BoneSoupError) -> Buffer {
    try tensor.spectrum(try tensor.gram(matrix, rows: rows, columns: columns), of: matrix) { _, _ in 1 }
  }

  /// U·diag(σ)·Vᵀ, f32 [rows × columns].
  private func product(
    _ u: Buffer, _ values: Buffer, _ v: Buffer, width: Int, _ tensor: MergeTensor
  ) throws(BoneSoupError) -> Buffer {
    let (rows, columns) = (tensor.shape.rows, tensor.shape.rowLength)
    for row in 0..<rows {
      for j in 0..<width { u.elements(Float.self)[row * width + j] *= values.elements(Float.self)[j] }
    }
    let turned = try tensor.transposed(v, rows: columns, columns: width)
    return try tensor.product(u, turned, rows: rows, inner: width, columns: columns)
  }
}

extension MergeTensor {
  /// a [rows × inner] · b [inner × columns] in f64, f32 [rows × columns].
  func product(
    _ a: Buffer, _ b: Buffer, rows: Int, inner: Int, columns: Int
  ) throws(BoneSoupError) -> Buffer {
    let result = try Buffer(
      of: Float.self, count: rows * columns, allocator: engine.allocator, purpose: "a product of matrices")
    let strip = 32
    let wide = try Buffer(
      of: Double.self, count: pool.threadCount * strip * columns, allocator: engine.allocator,
      purpose: "a strip of rows")
    Workers(pool: pool, count: (rows + strip - 1) / strip).run(monitor: monitor) { (index, slot) in
      let first = index * strip
      let count = min(strip, rows - first)
      let sum = wide.elements(Double.self) + slot * strip * columns
      sum.update(repeating: 0, count: count * columns)
      kernels.multiplyDoubles(
        a: a.elements(Float.self) + first * inner, aRow: inner, aColumn: 1,
        b: UnsafePointer(b.elements(Float.self)), ldb: columns, m: count, n: columns, k: inner, c: sum,
        ldc: columns)
      let out = result.elements(Float.self) + first * columns
      for element in 0..<count * columns { out[element] = Float(sum[element]) }
    }
    try monitor.check()
    return result
  }
}
