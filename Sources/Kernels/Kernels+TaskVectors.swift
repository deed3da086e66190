extension Kernels {
  /// Σ x[i]·y[i] in f64.
  public func productSum(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int) -> Double {
    table.product_sum(x, y, count)
  }

  /// Σ |x[i]| in f64.
  public func magnitudeSum(_ x: UnsafePointer<Float>, count: Int) -> Double { table.magnitude_sum(x, count) }

  /// out[i] = x[i] − y[i]; `out` may be either.
  public func subtract(
    _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    table.subtract(x, y, count, out)
  }

  /// out[i] = source[i] − base[i], rounded once.
  public func difference(
    type: ElementType, source: UnsafeRawPointer, base: UnsafePointer<Float>, count: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    table.difference(type.rawValue, source, base, count, out)
  }

  /// x[i] /= divisor.
  public func divide(_ x: UnsafeMutablePointer<Float>, by divisor: Float, count: Int) {
    table.divide(x, divisor, count)
  }

  /// out[i] = base[i] + (cx·x[i] + cy·y[i]) / divisor, each operation rounded; no base is 0. `out` may be any of them.
  public func combine(
    _ x: UnsafePointer<Float>, times cx: Float, _ y: UnsafePointer<Float>, times cy: Float, over divisor: Float = 1,
    base: UnsafePointer<Float>? = nil, count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    table.combine(x, cx, y, cy, divisor, base, count, out)
  }

  /// out[i] = the variance (divided by n) of the n deltas' elements i, computed in f64.
  public func variance(
    _ deltas: UnsafePointer<UnsafePointer<Float>>, n: Int, count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    table.variance(deltas, n, count, out)
  }

  /// How deltas become one: see `mergeDeltas`.
  public struct MergeFlags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Only what agrees in sign with the sum counts, and only its weights.
    public static let elect = MergeFlags(rawValue: 1)
    /// Divide by `divisor`, or with `elect` by the kept weights' sum, of which 0 counts as 1.
    public static let normalize = MergeFlags(rawValue: 2)
    /// The kept weights' sum is at least `divisor`.
    public static let floor = MergeFlags(rawValue: 4)
  }

  /// out[i] = base[i] + lambda · Σⱼ dⱼ·cⱼ / divisor, dⱼ = (deltas[j][i]·aⱼ)·bⱼ, j ascending.
  ///
  /// - Parameter factors: a, b, c and the weight that a divisor counts, for each delta.
  public func mergeDeltas(
    _ deltas: UnsafePointer<UnsafePointer<Float>>, factors: UnsafePointer<Float>, n: Int, flags: MergeFlags,
    divisor: Float, lambda: Float, base: UnsafePointer<Float>, count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    table.merge_deltas(deltas, factors, n, flags.rawValue, divisor, lambda, base, count, out)
  }

  /// histogram[(bits − low) >> shift] += 1 for the magnitudes whose 31 bits fall into `bins` bins; returns how many lie
  /// above these. low + (bins << shift) ≤ 2^31.
  public func magnitudeHistogram(
    _ x: UnsafePointer<Float>, count: Int, low: UInt32, shift: UInt32, bins: Int,
    into histogram: UnsafeMutablePointer<UInt32>
  ) -> Int {
    table.magnitude_histogram(x, count, low, shift, UInt32(truncatingIfNeeded: bins), histogram)
  }

  /// How many magnitudes have exactly these bits.
  public func magnitudeCount(_ x: UnsafePointer<Float>, count: Int, bits: UInt32) -> Int {
    table.magnitude_count(x, count, bits)
  }

  /// What is not within low ≤ bits of the magnitude ≤ high becomes 0.
  public func keepMagnitudes(_ x: UnsafeMutablePointer<Float>, count: Int, low: UInt32, high: UInt32) {
    table.keep_magnitudes(x, count, low, high)
  }

  /// out[4·b + j] = word j of Philox4x32-10 at the counter (first + b, c1, c2, c3) with the seed as key; `count` is a
  /// multiple of 64.
  public func randomWords(
    seed: UInt64, first: UInt32, _ c1: UInt32, _ c2: UInt32, _ c3: UInt32, count: Int,
    into out: UnsafeMutablePointer<UInt32>
  ) {
    table.random_words(seed, first, c1, c2, c3, count, out)
  }

  /// What has no word below the limit becomes 0.
  public func keepWords(
    _ x: UnsafeMutablePointer<Float>, words: UnsafePointer<UInt32>, limit: UInt32, count: Int
  ) {
    table.keep_words(x, words, limit, count)
  }

  /// Bit i % 16 of bits[i / 16] says whether words[i] is below the limit; returns Σ|x[i]| of these, in f64.
  public func draw(
    _ x: UnsafePointer<Float>, words: UnsafePointer<UInt32>, limit: UInt32, count: Int,
    bits: UnsafeMutablePointer<UInt16>
  ) -> Double {
    table.draw(x, words, limit, count, bits)
  }

  /// Element i becomes 0 unless words[i] < limits[its rank], the rank of its magnitude in the row, ascending from 0,
  /// equals by their index. `scratch` has room for 2·count numbers.
  public func pruneRow(
    _ x: UnsafeMutablePointer<Float>, count: Int, words: UnsafePointer<UInt32>, limits: UnsafePointer<UInt32>,
    scratch: UnsafeMutablePointer<UInt64>
  ) {
    table.prune_row(x, count, words, limits, scratch)
  }

  /// What is 0 in `chosen` becomes 0.
  public func keepChosen(_ x: UnsafeMutablePointer<Float>, chosen: UnsafePointer<Float>, count: Int) {
    table.keep_chosen(x, chosen, count)
  }

  /// Bit i % 16 of bits[i / 16] says whether chosen[i] is not 0.
  public func packChosen(_ chosen: UnsafePointer<Float>, count: Int, into bits: UnsafeMutablePointer<UInt16>) {
    table.pack_chosen(chosen, count, bits)
  }

  /// What has no bit becomes 0.
  public func keepPacked(_ x: UnsafeMutablePointer<Float>, bits: UnsafePointer<UInt16>, count: Int) {
    table.keep_packed(x, bits, count)
  }
}
