import Platform
import Transformer

/// KnOTS-TIES (arXiv 2410.19735): the task matrices side by side are decomposed, U·Σ·[V₁ … Vₙ]ᵀ, so that ΣVᵢᵀ are the
/// models in one common basis; these are merged by TIES, and U leads back. Vectors, embeddings and heads: TIES.
struct Knots: MergeMethod {
  let declaration = MethodDeclaration(
    "knots", "TIES in the common singular basis of the task matrices", base: .required, negative: .signed,
    isForSoups: true,
    [
      .factor, .density, .lambda,
      .normalize(true),
    ])

  private let ties = TaskVectorMerge(thinning: .magnitude, elects: true)

  func byteCount(_ shape: MergeShape) -> Int {
    guard shape.isMatrixOfALayer, shape.count > 0 else { return ties.byteCount(shape) }
    let n = shape.modelCount
    let basis = min(shape.rows, n * shape.rowLength)
    let aligned = MergeShape([basis, shape.rowLength], name: "", modelCount: n, threadCount: shape.threadCount)
    return 8 * n * shape.count + SVD.byteCount(rows: shape.rows, columns: n * shape.rowLength, limit: .none)
      + 4 * (n + 1) * aligned.count + ties.byteCount(aligned) + 4 * shape.count
      + 8 * 32 * shape.rowLength * shape.threadCount + shape.blockBytes(buffers: 2)
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    guard tensor.shape.isMatrixOfALayer, tensor.count > 0 else { return try ties.merge(tensor) }
    let n = tensor.models.count
    let (rows, columns) = (tensor.shape.rows, tensor.shape.rowLength)
    let svd = try decompose(tensor)
    guard svd.rank > 0 else {
      return try tensor.finish(try tensor.taskMatrix(tensor.models.indices))
    }
    var sources: [TaskMatrixSource] = []
    for model in 0..<n {
      let part = try Buffer(
        of: Float.self, count: svd.rank * columns, allocator: tensor.engine.allocator, purpose: "an aligned model")
      for j in 0..<svd.rank {
        let value = Float(svd.values.elements(Double.self)[j])
        let row = svd.right.elements(Float.self) + j * n * columns + model * columns
        for k in 0..<columns { part.elements(Float.self)[j * columns + k] = value * row[k] }
      }
      sources.append(TaskMatrixSource(memory: part))
    }
    let merged = try Buffer(
      of: Float.self, count: svd.rank * columns, allocator: tensor.engine.allocator, purpose: "the aligned merge")
    try ties.merge(aligned(tensor, sources, rank: svd.rank, into: merged))
    try tensor.finish(try tensor.product(svd.left, merged, rows: rows, inner: svd.rank, columns: columns))
  }

  /// Of the task matrices side by side.
  private func decompose(_ tensor: MergeTensor) throws(BoneSoupError) -> SVD {
    let n = tensor.models.count
    let (rows, columns) = (tensor.shape.rows, tensor.shape.rowLength)
    let all = try Buffer(
      of: Float.self, count: n * tensor.count, allocator: tensor.engine.allocator, purpose: "task matrices")
    for model in 0..<n {
      let matrix = try tensor.taskMatrix(model..<model + 1)
      for row in 0..<rows {
        (all.elements(Float.self) + (row * n + model) * columns)
          .update(from: matrix.elements(Float.self) + row * columns, count: columns)
      }
    }
    return try tensor.decomposed(all, rows: rows, columns: n * columns, limit: .none)
  }

  /// The weights are in the aligned models already.
  private func aligned(
    _ tensor: MergeTensor, _ sources: [TaskMatrixSource], rank: Int, into merged: Buffer
  ) -> MergeTensor {
    var values = tensor.values
    values.numbers["weight"] = [1]
    values.numbers["lambda"] = [1]
    return MergeTensor(
      name: tensor.name, nameHash: tensor.nameHash,
      shape: MergeShape(
        [rank, tensor.shape.rowLength], name: tensor.name, modelCount: sources.count,
        threadCount: tensor.shape.threadCount), base: nil, models: sources, values: values, seed: tensor.seed,
      sink: TaskMatrixSink(memory: merged), engine: tensor.engine, pool: tensor.pool, monitor: tensor.monitor,
      progress: MergeProgress(total: 1, monitor: tensor.monitor.silent))
  }
}
