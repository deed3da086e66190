/// DELLA (arXiv 2406.11617): elements dropped at random by the rank of their magnitude in the row, signs elected.
struct Della: TaskVectorMethod {
  let declaration = MethodDeclaration(
    "della", "drop at random by rank, rescale, elect a sign, sum what agrees", base: .required, negative: .signed,
    isForSoups: true, isRandom: true,
    [
      .weight,
      .density,
      .lambda,
      .normalize(true),
      .rescale(true),
      MethodParameter(
        "epsilon", .number, .perModel, default: 0.15, range: 0...0.5, "half the range of the probabilities"),
      .int8Mask,
    ])

  let arithmetic = TaskVectorMerge(thinning: .ranked, elects: true)
}
