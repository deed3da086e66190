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
  public var isSupported: Bool { isSupported(by: bsk_this_machine()) }

  private func isSupported(by machine: bsk_machine) -> Bool {
    switch self {
    case .baseline: true
    case .avx2: machine.avx2
    case .avx512: machine.avx512
    case .avx512bf16: machine.avx512bf16
    }
  }

  /// The level that is fastest on this machine. Intel's processors multiply half as many pairs of bf16 a second as numbers of
  /// f32 (on two cores of an Emerald Rapids: 154 and 311 GFLOP/s), AMD's twice as many.
  public static var best: InstructionSet {
    let machine = bsk_this_machine()
    return allCases.last { $0.isSupported(by: machine) && !($0 == .avx512bf16 && machine.is_intel) } ?? .baseline
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
