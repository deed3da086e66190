import Platform

/// θ₀ + lambda · Σ wᵢΔᵢ (arXiv 2212.04089).
struct TaskArithmetic: MergeMethod {
  let declaration = MethodDeclaration(
    "task_arithmetic", "the sum of the task vectors", base: .required, negative: .signed, isForSoups: true,
    [
      .weight,
      .lambda,
      .normalize(false),
      .int8Mask,
    ])

  private let arithmetic = TaskVectorMerge(thinning: .none, elects: false)

  func byteCount(_ shape: MergeShape) -> Int { arithmetic.byteCount(shape) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) { try arithmetic.merge(tensor) }
}
