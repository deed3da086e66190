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

  /// Elements between two of the sums that `weigh` makes.
  public static let weightsOfSum = 128

  /// How many sums `weigh` makes.
  public static func weightSums(count: Int) -> Int { (count + weightsOfSum - 1) / weightsOfSum }

  /// What a token is drawn by, in one pass: out[i] = e^((x[i] − max) / temperature), and in sums[c] the sum of the first
  /// `weightsOfSum`·(c + 1) of them, in the last that of all. Sums never fall.
  ///
  /// - Parameter temperature: above 0.
  /// - Returns: max + ln of the sum of all; at temperature 1 these are the bits of `logSumExp`. NaN, as that sum, where an
  ///   element is NaN or +∞, or all are −∞.
  public func weigh(
    x: UnsafePointer<Float>, count: Int, temperature: Float, out: UnsafeMutablePointer<Float>,
    sums: UnsafeMutablePointer<Double>
  ) -> Float { table.weigh(x, count, temperature, out, sums) }
}
