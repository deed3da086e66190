import CIntrinsics
import Glibc
import KernelsAVX2
import KernelsAVX512
import KernelsAVX512BF16
import KernelsBaseline

/// The numeric kernels of one instruction-set level.
///
/// Pointers need no alignment. No call locks, or reads or writes outside the elements named, and only packing rows and sums
/// takes memory from the heap; counts of zero and below do nothing. Buffers may overlap only where a call says so. Every result
/// is the same, bit for bit, whatever thread computes it and however the work was cut: DESIGN's numeric contract.
public struct Kernels: Sendable {
  public let instructionSet: InstructionSet
  let table: bsk_kernels

  /// The kernels of `level`; nil where this machine can't run them.
  public init?(_ level: InstructionSet) {
    guard level.isSupported else { return nil }
    self.init(supported: level)
  }

  private init(supported level: InstructionSet) {
    instructionSet = level
    table =
      switch level {
      case .baseline: KernelsBaseline.kernelTable()
      case .avx2: KernelsAVX2.kernelTable()
      case .avx512: KernelsAVX512.kernelTable()
      case .avx512bf16: KernelsAVX512BF16.kernelTable()
      }
  }

  /// The kernels of the level that is fastest on this machine, or of the one that the environment variable `BONESOUP_ISA`
  /// names; where the machine lacks that, of the next lower one. A name that is no level is ignored.
  public static func detect() -> Kernels { atMost(getenv("BONESOUP_ISA").map { String(cString: $0) }) }

  static func atMost(_ name: String?) -> Kernels {
    guard let limit = name.flatMap({ InstructionSet(rawValue: $0) }) else { return Kernels(supported: .best) }
    return Kernels(supported: InstructionSet.allCases.last { $0 <= limit && $0.isSupported } ?? .baseline)
  }
}
