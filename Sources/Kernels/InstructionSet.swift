import CIntrinsics

/// The levels that the kernels are compiled for, in ascending order.
public enum InstructionSet: String, Sendable, CaseIterable, Comparable {
  /// What every processor of the architecture has (x86-64: SSE2).
  case baseline
  /// AVX2, FMA and F16C.
  case avx2
  /// AVX-512 F, DQ, BW, VL and VNNI, and all of `avx2`.
  case avx512
  /// AVX-512 BF16, which multiplies pairs of bf16, and all of `avx512`.
  case avx512bf16

  /// As users write it, in `BONESOUP_ISA` too.
  public var name: String { rawValue }

  /// Whether this machine, its operating system included, runs code of the level.
  public var isSupported: Bool {
    switch self {
    case .baseline: true
    case .avx2: bsk_this_machine().avx2
    case .avx512: bsk_this_machine().avx512
    case .avx512bf16: bsk_this_machine().avx512bf16
    }
  }

  /// The level that is fastest on this machine. Intel's processors multiply half as many pairs of bf16 a second as numbers of
  /// f32 (on two cores of an Emerald Rapids: 154 and 311 GFLOP/s), AMD's twice as many.
  public static var best: InstructionSet {
    let isSlow = bsk_this_machine().is_intel
    return allCases.last { $0.isSupported && !($0 == .avx512bf16 && isSlow) } ?? .baseline
  }

  private var rank: Int {
    switch self {
    case .baseline: 0
    case .avx2: 1
    case .avx512: 2
    case .avx512bf16: 3
    }
  }

  public static func < (a: InstructionSet, b: InstructionSet) -> Bool { a.rank < b.rank }
}
