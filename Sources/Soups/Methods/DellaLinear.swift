/// DELLA (arXiv 2406.11617) without the election of signs.
struct DellaLinear: TaskVectorMethod {
  let declaration = MethodDeclaration(
    "della_linear", "drop at random by rank, rescale, sum", base: .required, negative: .signed, isForSoups: true,
    isRandom: true,
    [
      .weight,
      .density,
      .lambda,
      .normalize(false),
      .rescale(true),
      MethodParameter(
        "epsilon", .number, .perModel, default: 0.15, range: 0...0.5, "half the range of the probabilities"),
      .int8Mask,
    ])

  let arithmetic = TaskVectorMerge(thinning: .ranked, elects: false)
}
