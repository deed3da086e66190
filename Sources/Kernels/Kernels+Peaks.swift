extension Kernels {
  /// The arithmetic that a machine's peaks are measured in.
  public enum Arithmetic: UInt8, Sendable, CaseIterable {
    /// Fused multiply-add of f32.
    case f32 = 0
    /// Dot products of pairs of bf16 numbers; where the level has no instruction for it, by f32.
    case bf16 = 1
    /// Dot products of four bytes; where the level has no instruction for it, by 16-bit numbers.
    case int8 = 2
    /// Dot products of four weights of four bits with bytes; where the level has no instruction for it, in 16-bit numbers.
    case int4 = 3

    public var isInteger: Bool { self == .int8 || self == .int4 }
  }

  /// Does nothing but arithmetic for `rounds` rounds; returns a number that depends on all of it.
  ///
  /// - Parameter operands: 1024 bytes.
  public func arithmeticPeak(_ kind: Arithmetic, operands: UnsafeRawPointer, rounds: Int) -> Float {
    table.arithmetic_peak(kind.rawValue, operands, rounds)
  }

  /// Operations that a round does, a multiplication and an addition counting two.
  public func operationsPerRound(_ kind: Arithmetic) -> Double {
    Double(table.arithmetic_peak_operations(kind.rawValue))
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
