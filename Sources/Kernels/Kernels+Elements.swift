extension Kernels {
  /// out[i] = source[i] as f32; exact.
  public func widen(
    type: ElementType, source: UnsafeRawPointer, count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    table.widen(type.rawValue, source, count, out)
  }

  /// out[i] = source[i] in `type`, rounded to nearest, ties to even; ±∞ beyond the range; NaN stays NaN.
  public func narrow(
    source: UnsafePointer<Float>, type: ElementType, count: Int, into out: UnsafeMutableRawPointer
  ) {
    table.narrow(source, type.rawValue, count, out)
  }

  /// accumulator[i] = coefficient · source[i]; a coefficient of 1 gives source[i] exactly.
  public func scale(
    coefficient: Float, type: ElementType, source: UnsafeRawPointer, count: Int,
    into accumulator: UnsafeMutablePointer<Float>
  ) {
    table.scale(coefficient, type.rawValue, source, count, accumulator)
  }

  /// accumulator[i] += coefficient · source[i], with one rounding where the level has fused multiply-add, two at
  /// baseline.
  public func scaleAdd(
    coefficient: Float, type: ElementType, source: UnsafeRawPointer, count: Int,
    into accumulator: UnsafeMutablePointer<Float>
  ) {
    table.scale_add(coefficient, type.rawValue, source, count, accumulator)
  }

  /// The index of the first infinity or NaN.
  public func firstNonFinite(type: ElementType, source: UnsafeRawPointer, count: Int) -> Int? {
    let index = table.first_non_finite(type.rawValue, source, count)
    return index < 0 ? nil : index
  }
}
