/// TIES (arXiv 2306.01708): the greatest magnitudes of each task vector, of which those count that agree with the sign of
/// their sum.
struct Ties: TaskVectorMethod {
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

  let arithmetic = TaskVectorMerge(thinning: .magnitude, elects: true)
}
