import Platform

/// TIES (arXiv 2306.01708): the greatest magnitudes of each task vector, of which those count that agree with the sign of
/// their sum.
struct Ties: MergeMethod {
  let declaration = MethodDeclaration(
    "ties", "trim, elect a sign, sum what agrees", base: .required, negative: .signed, isForSoups: true,
    [
      .weight,
      .density,
      .lambda,
      .normalize(true),
      .rescale(false),
      .int8Mask,
    ])

  private let arithmetic = TaskVectorMerge(thinning: .magnitude, elects: true)

  func byteCount(_ shape: MergeShape) -> Int { arithmetic.byteCount(shape) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) { try arithmetic.merge(tensor) }
}
