/// θ₀ + lambda · Σ wᵢΔᵢ (arXiv 2212.04089).
struct TaskArithmetic: TaskVectorMethod {
  let declaration = MethodDeclaration(
    "task_arithmetic", "the sum of the task vectors", base: .required, negative: .signed, isForSoups: true,
    [
      .weight,
      .lambda,
      .normalize(false),
      .int8Mask,
    ])

  let arithmetic = TaskVectorMerge(thinning: .none, elects: false)
}
