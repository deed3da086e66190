/// DARE (arXiv 2311.03099) with the election of signs of TIES.
struct DareTies: TaskVectorMethod {
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

  let arithmetic = TaskVectorMerge(thinning: .random, elects: true)
}
