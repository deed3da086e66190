import Platform
import TestSupport
import Testing

/// Positive numbers that sum to 1.
func simplexPoint(_ count: Int, _ random: inout SplitMix) -> [Double] {
  let weights = (0..<count).map { _ in Double.random(in: 0.001...1, using: &random) }
  let sum = weights.reduce(0, +)
  return weights.map { $0 / sum }
}

func expectClose(
  _ values: [Double], _ expected: [Double], _ tolerance: Double = 1e-12,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(
    values.count == expected.count && zip(values, expected).allSatisfy { ($0 - $1).magnitude <= tolerance },
    "\(values) is not \(expected)", sourceLocation: sourceLocation)
}

enum ErrorKind {
  case invalidArgument, mismatch, notFound, malformed, unsupported, guardRail, unsolvable, internalFault, other

  init(_ error: BoneSoupError) {
    switch error {
    case .invalidArgument: self = .invalidArgument
    case .mismatch: self = .mismatch
    case .notFound: self = .notFound
    case .malformed: self = .malformed
    case .unsupported: self = .unsupported
    case .guardRail: self = .guardRail
    case .unsolvable: self = .unsolvable
    case .internalFault: self = .internalFault
    default: self = .other
    }
  }
}

/// Expects an error of that kind whose message has every one of `parts`.
func expectError<Value>(
  _ kind: ErrorKind, containing parts: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Value
) {
  do {
    let value = try body()
    Issue.record("no error, but \(value)", sourceLocation: sourceLocation)
  } catch let error as BoneSoupError {
    #expect(ErrorKind(error) == kind, "\(error)", sourceLocation: sourceLocation)
    for part in parts {
      #expect(error.message.contains(part), "\(error)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record(error, sourceLocation: sourceLocation)
  }
}
