import Platform

/// Model breadcrumbs (arXiv 2312.06795): the greatest magnitudes without the very greatest, summed.
struct Breadcrumbs: MergeMethod {
  let declaration = MethodDeclaration(
    "breadcrumbs", "drop small magnitudes and outliers, sum", base: .required, negative: .signed, isForSoups: true,
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

  private let arithmetic = TaskVectorMerge(thinning: .outliers, elects: false)

  func byteCount(_ shape: MergeShape) -> Int { arithmetic.byteCount(shape) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) { try arithmetic.merge(tensor) }
}
