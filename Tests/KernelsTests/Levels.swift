import Kernels
import Testing

/// The kernels of every level that this machine runs.
let levels = InstructionSet.allCases.compactMap { Kernels($0) }

/// Those that must not differ in a bit: with a fused multiply-add, and in bf16 without an instruction for pairs.
func alikeLevels(isBF16: Bool = false) -> [Kernels] {
  levels.filter { $0.instructionSet >= .avx2 && !(isBF16 && $0.instructionSet == .avx512bf16) }
}

/// A level and a format: the cases that most tests go through.
struct Case: CustomTestStringConvertible, Sendable {
  let kernels: Kernels
  let type: ElementType

  var testDescription: String { "\(kernels.instructionSet.name), \(type.name)" }

  static let all = levels.flatMap { kernels in ElementType.allCases.map { Case(kernels: kernels, type: $0) } }
}

extension Kernels: CustomTestStringConvertible {
  public var testDescription: String { instructionSet.name }
}
