/// DARE (arXiv 2311.03099): elements dropped at random, the rest rescaled and summed.
struct DareLinear: TaskVectorMethod {
  let declaration = MethodDeclaration(
    "dare_linear", "drop at random, rescale, sum", base: .required, negative: .signed, isForSoups: true, isRandom: true,
    [
      .weight,
      .density,
      .lambda,
      .normalize(false),
      .rescale(true),
      .int8Mask,
    ])

  let arithmetic = TaskVectorMerge(thinning: .random, elects: false)
}
