import CIntrinsics

/// A summand of a merge, laid out as the kernels take it.
public struct MergeTerm {
  public let source: UnsafeRawPointer
  public let coefficient: Float

  public init(source: UnsafeRawPointer, coefficient: Float) {
    self.source = source
    self.coefficient = coefficient
  }
}

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

  /// accumulator[i] = Σ_t coefficient_t · source_t[i], all sources of one type, summed in order: the bits of `scale` and
  /// then `scaleAdd` for each further term, in one pass. Where it `accumulates`, the terms are added to what is there.
  public func merge(
    _ terms: UnsafeBufferPointer<MergeTerm>, type: ElementType, count: Int, accumulates: Bool,
    into accumulator: UnsafeMutablePointer<Float>
  ) {
    guard let first = terms.baseAddress else { return }
    first.withMemoryRebound(to: bsk_term.self, capacity: terms.count) {
      table.merge($0, terms.count, type.rawValue, count, accumulates, accumulator)
    }
  }

  /// The index of the first infinity or NaN.
  public func firstNonFinite(type: ElementType, source: UnsafeRawPointer, count: Int) -> Int? {
    let index = table.first_non_finite(type.rawValue, source, count)
    return index < 0 ? nil : index
  }
}
