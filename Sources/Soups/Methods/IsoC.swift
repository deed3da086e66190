import Platform

/// Iso-C (arXiv 2502.04959): the sum of the task matrices with all its singular values set to their mean. Vectors,
/// embeddings and heads: the mean of the task vectors, as in the published code.
struct IsoC: MergeMethod {
  let declaration = MethodDeclaration(
    "iso_c", "the sum of the task matrices with equal singular values", base: .required, negative: .signed,
    isForSoups: true,
    [
      .factor, .lambda,
      .averages,
    ])

  private let other = TaskVectorMerge(thinning: .none, elects: false)

  func byteCount(_ shape: MergeShape) -> Int {
    guard shape.isMatrixOfALayer, shape.count > 0 else { return other.byteCount(shape) }
    let (long, short) = (max(shape.rows, shape.rowLength), min(shape.rows, shape.rowLength))
    return 12 * shape.count + shape.blockBytes(buffers: 2) + GramEigen.byteCount(columns: short)
      + GramEigen.spectrumByteCount(rows: long, columns: short, threadCount: shape.threadCount)
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    guard tensor.shape.isMatrixOfALayer, tensor.count > 0 else { return try other.merge(tensor) }
    let (rows, columns) = (tensor.shape.rows, tensor.shape.rowLength)
    let sum = try tensor.taskMatrix(tensor.models.indices)
    let tall = try tensor.tall(sum, rows: rows, columns: columns)
    let (long, short) = (max(rows, columns), min(rows, columns))
    let gram = try tensor.gram(tall, rows: long, columns: short)
    let mean = (0..<gram.rank).reduce(0.0) { $0 + gram.singularValue($1) } / Double(short)
    let equal = try tensor.spectrum(gram, of: tall) { _, _ in mean }
    try tensor.finish(rows < columns ? try tensor.transposed(equal, rows: long, columns: short) : equal)
  }
}
