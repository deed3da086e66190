import Platform
import TestSupport
import Testing

@testable import Soups

@Suite struct PreferenceSolverTests {
  private static func solver(
    _ names: [String] = ["brief", "happy", "plain"], rows: [[Double]]? = nil, factors: [Double]? = nil,
    guardRails: GuardRails = .none, _ change: (inout [Objective]) -> Void = { _ in }
  ) throws -> PreferenceSolver {
    var objectives = try names.map { try Objective(name: $0) }
    change(&objectives)
    let matrix =
      if let rows { try BackboneMatrix(rows: rows) } else { try BackboneMatrix.bone(beta: 0.6, count: names.count) }
    return try PreferenceSolver(
      objectives: objectives, matrix: matrix, extrapolation: try factors.map { try .init(factors: $0, matrix: matrix) },
      guardRails: guardRails)
  }

  private let full = [true, true, true]

  // Values

  @Test(arguments: [-0.1, -1e-300, .nan, .infinity, -.infinity])
  func badValueIsRefusedWithObjectiveAndValue(value: Double) throws {
    let solver = try Self.solver()
    expectError(.invalidArgument, containing: "\"happy\"", "\(value)") {
      try solver.resolve(preference: [0.5, value, 0.5], isFull: full)
    }
  }

  @Test func wrongLengthIsRefused() throws {
    let solver = try Self.solver()
    for preference in [[], [1], [0.5, 0.5], [0.25, 0.25, 0.25, 0.25]] {
      expectError(.mismatch, containing: "\(preference.count) values", "3 objectives") {
        try solver.resolve(preference: preference, isFull: full)
      }
    }
  }

  @Test func sumNearOneIsRenormalizedAndReported() throws {
    let solver = try Self.solver()
    let thirds = try solver.resolve(preference: [0.33, 0.33, 0.33], isFull: full)
    expectClose(thirds.preference ?? [], [1.0 / 3, 1.0 / 3, 1.0 / 3], 1e-15)
    expectClose(thirds.coefficients, [1.0 / 3, 1.0 / 3, 1.0 / 3])
    #expect(thirds.adjustments == .renormalized)
    #expect(try solver.resolve(preference: [0.34, 0.34, 0.34], isFull: full).adjustments == .renormalized)
    #expect(try solver.resolve(preference: [0.5, 0.3, 0.2], isFull: full).adjustments == [])
    let single = [Float(0.4), 0.35, 0.25].map(Double.init)
    #expect(try solver.resolve(preference: single, isFull: full).adjustments == [])
  }

  @Test func sumFurtherFromOneIsRefusedWithTheSum() throws {
    let solver = try Self.solver()
    expectError(.invalidArgument, containing: "0.75") {
      try solver.resolve(preference: [0.25, 0.25, 0.25], isFull: full)
    }
    expectError(.invalidArgument, containing: "1.5") { try solver.resolve(preference: [0.5, 0.5, 0.5], isFull: full) }
    expectError(.invalidArgument, containing: "0.0") { try solver.resolve(preference: [0, 0, 0], isFull: full) }
    expectError(.invalidArgument) {
      try solver.resolve(preference: [.greatestFiniteMagnitude, .greatestFiniteMagnitude, 0], isFull: full)
    }
  }

  @Test func resolvingWhatWasResolvedGivesTheSameBits() throws {
    let clamping = try GuardRails(maxAbsCoefficient: nil, onViolation: .clamp)
    let solver = try Self.solver(guardRails: clamping) { $0[0].maximum = 0.4 }
    var random = SplitMix(seed: 21)
    for _ in 0..<500 {
      let preference = simplexPoint(3, &random).map { $0 * 0.99 }
      let first = try solver.resolve(preference: preference, isFull: full)
      let second = try solver.resolve(preference: try #require(first.preference), isFull: full)
      #expect(second.preference == first.preference)
      #expect(second.coefficients == first.coefficients)
      #expect(second.adjustments == [])
    }
  }

  // Names and defaults

  @Test func namedPreferenceCountsAbsentObjectivesZero() throws {
    let solver = try Self.solver()
    #expect(try solver.preference(named: [("happy", 0.75), ("brief", 0.25)]) == [0.25, 0.75, 0])
    expectError(.notFound, containing: "\"hapy\"", "\"brief\", \"happy\", \"plain\"") {
      try solver.preference(named: [("hapy", 1)])
    }
    expectError(.invalidArgument, containing: "\"happy\" twice") {
      try solver.preference(named: [("happy", 0.5), ("happy", 0.5)])
    }
    expectError(.notFound) { try solver.preference(named: [(String(repeating: "é", count: 500_000), 1)]) }
  }

  @Test func noPreferenceMeansTheDefaults() throws {
    #expect(try Self.solver().preference(named: []) == [1.0 / 3, 1.0 / 3, 1.0 / 3])
    let one = try Self.solver { $0[0].defaultValue = 0.4 }
    expectClose(one.defaultPreference, [0.4, 0.3, 0.3], 1e-15)
    let all = try Self.solver {
      for index in 0..<3 { $0[index].defaultValue = [1, 1, 0.5][index] }
    }
    expectClose(all.defaultPreference, [0.4, 0.4, 0.2], 1e-15)
    let over = try Self.solver {
      $0[0].defaultValue = 1
      $0[1].defaultValue = 1
    }
    #expect(over.defaultPreference == [0.5, 0.5, 0])
    let limited = try Self.solver { $0[2].minimum = 0.5 }
    expectClose(limited.defaultPreference, [0.25, 0.25, 0.5], 1e-15)
    expectError(.invalidArgument, containing: "default") {
      try Self.solver { for index in 0..<3 { $0[index].defaultValue = 0 } }
    }
  }

  @Test func movedSliderLeavesTheOthersTheirProportions() throws {
    let solver = try Self.solver()
    expectClose(try solver.moving(0, to: 0.5, from: [0.25, 0.5, 0.25]), [0.5, 1.0 / 3, 0.5 / 3], 1e-15)
    #expect(try solver.moving(1, to: 0.5, from: [0, 1, 0]) == [0.25, 0.5, 0.25])
    #expect(try solver.moving(1, to: 1, from: [0.5, 0.25, 0.25]) == [0, 1, 0])
    #expect(try solver.moving(1, to: 0, from: [0, 1, 0]) == [0.5, 0, 0.5])
    #expect(try Self.solver(["only"], rows: [[1]]).moving(0, to: 0.3, from: [1]) == [1])
    for value in [-0.1, 1.1, .nan, .infinity] {
      expectError(.invalidArgument, containing: "\"plain\"") {
        try solver.moving(2, to: value, from: [0.25, 0.5, 0.25])
      }
    }
    for index in [-1, 3, Int.min, Int.max] {
      expectError(.invalidArgument) { try solver.moving(index, to: 0.5, from: [0.25, 0.5, 0.25]) }
    }
    expectError(.mismatch) { try solver.moving(0, to: 0.5, from: [1]) }
    expectError(.invalidArgument) { try solver.moving(0, to: 0.5, from: [1, 1, 1]) }
  }

  @Test func movedSliderKeepsTheSumAtOne() throws {
    let solver = try Self.solver()
    var random = SplitMix(seed: 22)
    var preference = [0.2, 0.3, 0.5]
    for _ in 0..<2000 {
      let index = Int.random(in: 0..<3, using: &random)
      let value = Double.random(in: 0...1, using: &random)
      preference = try solver.moving(index, to: value, from: preference)
      #expect(preference[index] == value)
      #expect((preference.reduce(0, +) - 1).magnitude < 1e-15)
    }
  }

  // Guard rails

  @Test func preferenceOutsideTheLimitsIsRejectedByName() throws {
    let solver = try Self.solver {
      $0[0].maximum = 0.6
      $0[1].minimum = 0.1
    }
    expectError(.guardRail, containing: "\"brief\"", "0.7", "0.6") {
      try solver.resolve(preference: [0.7, 0.2, 0.1], isFull: full)
    }
    expectError(.guardRail, containing: "\"happy\"", "0.05", "0.1") {
      try solver.resolve(preference: [0.5, 0.05, 0.45], isFull: full)
    }
    // f32's 0.6 is a little above 0.6: used as 0.6, and nothing to report.
    let single = try solver.resolve(preference: [Double(Float(0.6)), Double(Float(0.4)), 0], isFull: full)
    #expect(single.preference?[0] == 0.6)
    #expect(single.adjustments == [])
  }

  @Test func clampUsesTheNearestPreferenceAndReportsIt() throws {
    let clamping = try GuardRails(maxAbsCoefficient: nil, onViolation: .clamp)
    let solver = try Self.solver(guardRails: clamping) { $0[0].maximum = 0.5 }
    let moved = try solver.resolve(preference: [0.9, 0.1, 0], isFull: full)
    expectClose(moved.preference ?? [], [0.5, 0.3, 0.2], 1e-15)
    #expect(moved.adjustments == .clamped)
    #expect(try solver.resolve(preference: [0.5, 0.3, 0.2], isFull: full).adjustments == [])
    #expect(try solver.resolve(preference: [0.91, 0.1, 0], isFull: full).adjustments == [.clamped, .renormalized])
  }

  @Test func limitOnCoefficientsAlwaysRejects() throws {
    for policy in GuardRails.Policy.allCases {
      let rails = try GuardRails(maxAbsCoefficient: 1.5, onViolation: policy)
      let solver = try Self.solver(guardRails: rails)
      expectError(.guardRail, containing: "backbone 0", "2.0", "1.5") {
        try solver.resolve(preference: [1, 0, 0], isFull: full)
      }
      expectError(.guardRail, containing: "backbone 2", "-1.6") {
        try Resolution(coefficients: [0, 0, -1.6], guardRails: solver.guardRails, isFull: full)
      }
      _ = try Resolution(coefficients: [1.5, Double(Float(-1.5)), 0], guardRails: solver.guardRails, isFull: full)
    }
    // Reached exactly: 2, −½, −½.
    let exact = try GuardRails(maxAbsCoefficient: 2, onViolation: .reject)
    _ = try Self.solver(guardRails: exact).resolve(preference: [1, 0, 0], isFull: full)
    for limit in [0, -1, .nan, .infinity] {
      expectError(.invalidArgument) { try GuardRails(maxAbsCoefficient: limit, onViolation: .reject) }
    }
  }

  @Test func emptyLimitsAndBadNumbersAreRefusedAtOpen() {
    expectError(.guardRail) { try Self.solver { for index in 0..<3 { $0[index].maximum = 0.3 } } }
    expectError(.guardRail) { try Self.solver { for index in 0..<3 { $0[index].minimum = 0.4 } } }
    expectError(.guardRail, containing: "\"happy\"") {
      try Self.solver {
        $0[1].minimum = 0.5
        $0[1].maximum = 0.4
      }
    }
    let changes: [(inout Objective) -> Void] = [
      { $0.minimum = -0.1 }, { $0.minimum = .nan }, { $0.maximum = 1.1 }, { $0.maximum = .infinity },
      { $0.defaultValue = 1.5 }, { $0.defaultValue = .nan }, { $0.step = 0 }, { $0.step = .nan }, { $0.floor = .nan },
    ]
    for change in changes {
      expectError(.invalidArgument, containing: "\"plain\"") { try Self.solver { change(&$0[2]) } }
    }
    expectError(.invalidArgument, containing: "\"same\"") { try Self.solver(["same", "other", "same"]) }
    expectError(.mismatch) { try Self.solver(["a", "b"], rows: [[1]]) }
  }

  @Test(arguments: ["", String(repeating: "x", count: 65), "tab\there", "nul\0", "bell\u{7}", "c1\u{85}"])
  func badNamesAreRefused(name: String) {
    expectError(.invalidArgument, containing: "name") { try Objective(name: name) }
  }

  // Extrapolation

  @Test func extrapolationStretchesEachVertexByItsFactor() throws {
    let factors = [1.0, 1.25, 2]
    let solver = try Self.solver(factors: factors)
    for vertex in 0..<3 {
      let preference = (0..<3).map { $0 == vertex ? 1.0 : 0 }
      let expected = try solver.matrix.solve(preference).map { $0 * factors[vertex] }
      expectClose(try solver.resolve(preference: preference, isFull: full).coefficients, expected)
    }
    let middle = try solver.resolve(preference: [0.5, 0.2, 0.3], isFull: full)
    let stretched = try solver.matrix.solve([0.5, 0.25, 0.6])
    expectClose(middle.coefficients, stretched)
    #expect((middle.baseShare - (1 - 1.35)).magnitude < 1e-12)
  }

  @Test func factorsOfOneChangeNothing() throws {
    let preference = [0.2, 0.5, 0.3]
    let plain = try Self.solver().resolve(preference: preference, isFull: full)
    #expect(try Self.solver(factors: [1, 1, 1]).resolve(preference: preference, isFull: full) == plain)
    // Also for fewer backbones than objectives, which cannot be stretched otherwise.
    let rows = [[0.5, 0.5, 0], [0, 0.2, 0.8]]
    _ = try Self.solver(rows: rows, factors: [1, 1, 1])
    expectError(.unsolvable) { try Self.solver(rows: rows, factors: [1, 1.5, 1]) }
  }

  @Test func extrapolationWithMoreBackbonesStaysNearestToUniform() throws {
    let rows = [[0.8, 0.2], [0.2, 0.8], [0.5, 0.5]]
    let matrix = try BackboneMatrix(rows: rows)
    let barely = try Extrapolation(factors: [1, 1.0000001], matrix: matrix)
    for share in [0, 0.3, 1] {
      expectClose(
        try barely.coefficients(for: [share, 1 - share], matrix: matrix), try matrix.solve([share, 1 - share]), 1e-6)
    }
  }

  @Test func badFactorsAreRefused() {
    for factor in [0.99, 0, -1, .nan, .infinity] {
      expectError(.invalidArgument, containing: "objective 1") { try Self.solver(factors: [1, factor, 1]) }
    }
    expectError(.mismatch) { try Self.solver(factors: [1, 1]) }
    expectError(.unsolvable, containing: "f32") {
      try Self.solver(factors: [1e300, 1, 1]).resolve(preference: [1, 0, 0], isFull: full)
    }
  }

  // Coefficients and the base's share

  @Test func rawCoefficientsAreUsedAsTheyAre() throws {
    let solver = try Self.solver()
    let raw = [1e-8, 1 - 1e-8, -3.5]
    let result = try Resolution(coefficients: raw, guardRails: solver.guardRails, isFull: [true, true, false])
    #expect(result.coefficients == raw)
    #expect(result.preference == nil)
    #expect(result.baseShare == 0)
    expectError(.mismatch) { try Resolution(coefficients: [1], guardRails: solver.guardRails, isFull: full) }
    for value in [.nan, .infinity, 1e39] {
      expectError(.invalidArgument, containing: "backbone 1", "\(value)") {
        try Resolution(coefficients: [0, value, 0], guardRails: solver.guardRails, isFull: full)
      }
    }
    expectError(.mismatch) { try Resolution(coefficients: [0, 0, 0], guardRails: solver.guardRails, isFull: [true]) }
  }

  @Test func baseShareCountsFullBackbonesOnly() throws {
    let solver = try Self.solver()
    let preference = [0.2, 0.3, 0.5]
    #expect(try solver.resolve(preference: preference, isFull: full).baseShare == 0)
    #expect(try solver.resolve(preference: preference, isFull: [false, false, false]).baseShare == 1)
    let mixed = try solver.resolve(preference: preference, isFull: [true, false, false])
    #expect(mixed.baseShare == 1 - mixed.coefficients[0])
    #expect(
      try Resolution(coefficients: [0.5, 0.25, 0], guardRails: solver.guardRails, isFull: full).baseShare == 0.25)
    let uniform = [Double](repeating: 1.0 / 3, count: 3)
    #expect(try Resolution(coefficients: uniform, guardRails: solver.guardRails, isFull: full).baseShare == 0)
  }
}
