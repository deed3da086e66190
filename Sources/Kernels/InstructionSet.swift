import CIntrinsics

/// The levels that the kernels are compiled for, in ascending order.
public enum InstructionSet: String, Sendable, CaseIterable, Comparable {
  /// What every processor of the architecture has (x86-64: SSE2).
  case baseline
  /// AVX2, FMA and F16C.
  case avx2
  /// AVX-512 F, DQ, BW, VL, VNNI and BF16, and all of `avx2`.
  case avx512

  /// As users write it, in `BONESOUP_ISA` too.
  public var name: String { rawValue }

  /// Whether this machine, its operating system included, runs code of the level.
  public var isSupported: Bool {
    switch self {
    case .baseline: true
    case .avx2: bsk_this_machine().avx2
    case .avx512: bsk_this_machine().avx512
    }
  }

  private var rank: Int {
    switch self {
    case .baseline: 0
    case .avx2: 1
    case .avx512: 2
    }
  }

  public static func < (a: InstructionSet, b: InstructionSet) -> Bool { a.rank < b.rank }
}
