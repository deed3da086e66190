extension Kernels {
  /// x[i] = e^x[i] / Σ_j e^x[j] in place; returns ln Σ_j e^x[j] (−∞ of no elements). All are NaN where an element is NaN
  /// or +∞, or all are −∞.
  @discardableResult
  public func softmax(x: UnsafeMutablePointer<Float>, count: Int) -> Float { table.softmax(x, count) }

  /// ln Σ_i e^x[i], with the bits that `softmax` returns.
  public func logSumExp(x: UnsafePointer<Float>, count: Int) -> Float { table.log_sum_exp(x, count) }

  /// out[i] = e^x[i] within 2 ulp, 0 below −104; `out` may be `x`.
  public func exponential(x: UnsafePointer<Float>, count: Int, out: UnsafeMutablePointer<Float>) {
    table.exponential(x, count, out)
  }
}
