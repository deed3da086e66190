import Kernels
import Testing

/// The kernels of every level that this machine runs.
let levels = InstructionSet.allCases.compactMap { Kernels($0) }

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
