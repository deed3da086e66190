/// Model breadcrumbs (arXiv 2312.06795) with the election of signs of TIES.
struct BreadcrumbsTies: TaskVectorMethod {
  let declaration = MethodDeclaration(
    "breadcrumbs_ties", "drop small magnitudes and outliers, elect a sign, sum what agrees", base: .required,
    negative: .signed, isForSoups: true,
    [
      .weight,
      .density,
      .lambda,
      .normalize(false),
      .rescale(false),
      .gamma,
      .int8Mask,
    ])

  let arithmetic = TaskVectorMerge(thinning: .outliers, elects: true)
}
