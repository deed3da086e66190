extension Kernels {
  /// y[i] = (x[i] · 1/√(mean(x²) + epsilon)) · weight[i] for i < count (RMSNorm, arXiv 1910.07467); `y` may be `x`.
  public func rmsNorm(
    x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float, count: Int, y: UnsafeMutablePointer<Float>
  ) {
    table.rms_norm(x, weight, epsilon, count, y)
  }

  /// Rotary position embedding (arXiv 2104.09864) in place, with Hugging Face's pairing: in each of `headCount` heads of
  /// `headDim` elements, elements i and i + rotaryDim/2 are turned by the angle whose cosine[i] and sine[i] are given
  /// (rotaryDim/2 of each, for one position). The elements from rotaryDim on stay. rotaryDim is even, ≤ headDim.
  public func rotate(
    x: UnsafeMutablePointer<Float>, headCount: Int, headDim: Int, rotaryDim: Int, cosine: UnsafePointer<Float>,
    sine: UnsafePointer<Float>
  ) {
    table.rotate(x, headCount, headDim, rotaryDim, cosine, sine)
  }

  /// out[i] = silu(gate[i]) · up[i], silu(g) = g / (1 + e^−g); `out` may be `gate` or `up`.
  public func siluMultiply(
    gate: UnsafePointer<Float>, up: UnsafePointer<Float>, count: Int, out: UnsafeMutablePointer<Float>
  ) {
    table.silu_multiply(gate, up, count, out)
  }

  /// x[i] += y[i].
  public func add(x: UnsafeMutablePointer<Float>, y: UnsafePointer<Float>, count: Int) { table.add(x, y, count) }
}
