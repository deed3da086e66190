extension Kernels {
  /// The arithmetic that a machine's peaks are measured in.
  public enum Arithmetic: UInt8, Sendable, CaseIterable {
    /// Fused multiply-add of f32.
    case f32 = 0
    /// Dot products of pairs of bf16 numbers; where the level has no instruction for it, by f32.
    case bf16 = 1
    /// Dot products of four bytes; where the level has no instruction for it, by 16-bit numbers.
    case int8 = 2
  }

  /// Does nothing but arithmetic for `rounds` rounds.
  ///
  /// - Parameter operands: 1024 bytes.
  /// - Returns: the operations done, a multiplication and an addition counting two, and a number that depends on all.
  public func arithmeticPeak(
    _ kind: Arithmetic, operands: UnsafeRawPointer, rounds: Int
  ) -> (operations: Double, witness: Float) {
    let witness = table.arithmetic_peak(kind.rawValue, operands, rounds)
    return (Double(table.arithmetic_peak_operations(kind.rawValue)) * Double(rounds), witness)
  }

  /// Reads `count` bytes, a multiple of 512, once from front to back; returns a number that depends on all.
  public func readStream(_ source: UnsafeRawPointer, count: Int) -> UInt32 { table.read_stream(source, count) }

  /// Reads three streams of `count` bytes, a multiple of 128, and writes a fourth past the caches, aligned to 64 bytes.
  public func mergeStreams(
    _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeRawPointer, count: Int,
    into out: UnsafeMutableRawPointer
  ) {
    table.merge_streams(a, b, c, count, out)
  }
}
