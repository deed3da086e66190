/// Model breadcrumbs (arXiv 2312.06795): the greatest magnitudes without the very greatest, summed.
struct Breadcrumbs: TaskVectorMethod {
  let declaration = MethodDeclaration(
    "breadcrumbs", "drop small magnitudes and outliers, sum", base: .required, negative: .signed, isForSoups: true,
    [
      .weight,
      .density,
      .lambda,
      .normalize(false),
      .rescale(false),
      .gamma,
      .int8Mask,
    ])

  let arithmetic = TaskVectorMerge(thinning: .outliers, elects: false)
}
