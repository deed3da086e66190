import Platform

/// DARE (arXiv 2311.03099) with the election of signs of TIES.
struct DareTies: MergeMethod {
  let declaration = MethodDeclaration(
    "dare_ties", "drop at random, rescale, elect a sign, sum what agrees", base: .required, negative: .signed,
    isForSoups: true, isRandom: true,
    [
      .weight,
      .density,
      .lambda,
      .normalize(false),
      .rescale(true),
      .int8Mask,
    ])

  private let arithmetic = TaskVectorMerge(thinning: .random, elects: true)

  func byteCount(_ shape: MergeShape) -> Int { arithmetic.byteCount(shape) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) { try arithmetic.merge(tensor) }
}
