extension Kernels {
  /// Counts magnitudes of source[i] − base[i], both of one type, by their 31 bits: adds to counts[0] how many are at or above
  /// low + (bins << shift) ≤ 2^31, to counts[1] how many below that, from `low` on, are `known`, and to
  /// histogram[(bits − low) >> shift] the others of these.
  public func countDeltas(
    type: ElementType, source: UnsafeRawPointer, base: UnsafeRawPointer, count: Int, low: UInt32, shift: UInt32,
    bins: Int, known: UInt32, into histogram: UnsafeMutablePointer<UInt32>, counts: UnsafeMutablePointer<Int>
  ) {
    table.count_deltas(
      type.rawValue, source, base, count, low, shift, UInt32(truncatingIfNeeded: bins), known, histogram, counts)
  }

  /// The most sources of `mergeSources`.
  public static let mergedSources = 4

  /// out[i] = base[i] + lambda · Σⱼ dⱼ, dⱼ = ((sources[j][i] − base[i])·aⱼ)·bⱼ where the magnitude of the difference has at
  /// least the bits lows[j], else 0. Where it `elects`, as `mergeDeltas` does. All sources are of one type.
  ///
  /// - Parameters:
  ///   - factors: a and b of each source.
  ///   - sources: 1 to `mergedSources`; lows and factors are of as many.
  public func mergeSources(
    type: ElementType, _ sources: UnsafeBufferPointer<UnsafeRawPointer>, lows: UnsafePointer<UInt32>,
    factors: UnsafePointer<Float>, elects: Bool, lambda: Float, base: UnsafeRawPointer, count: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    guard let first = sources.baseAddress else { return }
    table.merge_sources(
      type.rawValue, first, lows, factors, sources.count, elects, lambda, base, count, out)
  }
}
