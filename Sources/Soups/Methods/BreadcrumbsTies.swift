import Platform

/// Model breadcrumbs (arXiv 2312.06795) with the election of signs of TIES.
struct BreadcrumbsTies: MergeMethod {
  let declaration = MethodDeclaration(
    "breadcrumbs_ties", "drop small magnitudes and outliers, elect a sign, sum what agrees", base: .required,
    negative: .signed, isForSoups: true,
    [
      .weight,
      .density,
      .lambda,
      .normalize(false),
      .rescale(false),
      MethodParameter(
        "gamma", .number, .perModel, default: 0.01, range: 0...1, "share of the greatest magnitudes that is dropped"),
      .int8Mask,
    ])

  private let arithmetic = TaskVectorMerge(thinning: .outliers, elects: true)

  func byteCount(_ shape: MergeShape) -> Int { arithmetic.byteCount(shape) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) { try arithmetic.merge(tensor) }
}
