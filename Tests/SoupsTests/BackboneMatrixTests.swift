import Platform
import TestSupport
import Testing

@testable import Soups

@Suite struct BackboneMatrixTests {
  private func bone(_ beta: Double, _ count: Int) throws -> BackboneMatrix { try .bone(beta: beta, count: count) }

  @Test func goldenValues() throws {
    let two = try BackboneMatrix(rows: [[0.3, 0.7], [0.7, 0.3]])
    expectClose(try two.coefficients(for: [1, 0]), [-0.75, 1.75])
    expectClose(try two.coefficients(for: [0.5, 0.5]), [0.5, 0.5])
    let three = try bone(0.6, 3)
    expectClose(try three.coefficients(for: [1, 0, 0]), [2, -0.5, -0.5])
    expectClose(try three.coefficients(for: [1.0 / 3, 1.0 / 3, 1.0 / 3]), [1.0 / 3, 1.0 / 3, 1.0 / 3])
    let skew = try BackboneMatrix(rows: [[0.8, 0.2], [0.4, 0.6]])
    expectClose(try skew.coefficients(for: [1, 0]), [1.5, -0.5])
  }

  @Test func boneRuleIsSymmetricAndCirculant() throws {
    let matrix = try bone(0.7, 4)
    for row in 0..<4 {
      for column in 0..<4 { #expect(matrix.rows[row][column] == (row == column ? 0.7 : (1 - 0.7) / 3)) }
    }
    // Its eigenvalues are 1 and (nβ − 1)/(n − 1).
    #expect((matrix.conditionNumber - 3 / (4 * 0.7 - 1)).magnitude < 1e-12)
  }

  @Test(arguments: [2, 3, 5, 17, 64]) func rewardedSoupAtAVertexIsExactlyOneBackbone(count: Int) throws {
    for matrix in [try bone(1, count), try .identity(count: count)] {
      for vertex in 0..<count {
        let oneHot = (0..<count).map { $0 == vertex ? 1.0 : 0.0 }
        #expect(try matrix.coefficients(for: oneHot) == oneHot)
      }
    }
  }

  @Test func rowOfTheMatrixAsPreferenceIsExactlyItsBackbone() throws {
    var random = SplitMix(seed: 4)
    for _ in 0..<200 {
      let count = Int.random(in: 2...8, using: &random)
      let rows = (0..<count).map { _ in simplexPoint(count, &random) }
      guard let matrix = try? BackboneMatrix(rows: rows), matrix.conditionNumber < 1e3 else { continue }
      for (index, row) in rows.enumerated() {
        #expect(try matrix.coefficients(for: row) == (0..<count).map { $0 == index ? 1.0 : 0.0 })
      }
    }
  }

  @Test func snapsWithinEightUnitsOfF32AndNoFurther() {
    #expect(BackboneMatrix.snap(0x1p-20) == 0)
    #expect(BackboneMatrix.snap(-0x1p-20) == 0)
    #expect(BackboneMatrix.snap(1 - 0x1p-20) == 1)
    #expect(BackboneMatrix.snap(0x1.1p-20) == 0x1.1p-20)
    #expect(BackboneMatrix.snap(1 + 0x1.1p-20) == 1 + 0x1.1p-20)
  }

  @Test func solvesRandomSquareAndTallMatrices() throws {
    var random = SplitMix(seed: 1)
    var solved = 0
    for _ in 0..<600 {
      let objectives = Int.random(in: 1...12, using: &random)
      let backbones = objectives + Int.random(in: 0...6, using: &random)
      let rows = (0..<backbones).map { _ in simplexPoint(objectives, &random) }
      guard let matrix = try? BackboneMatrix(rows: rows) else { continue }
      solved += 1
      let preference = simplexPoint(objectives, &random)
      let coefficients = try matrix.solve(preference)
      let tolerance = 1e-15 * matrix.conditionNumber + 1e-14
      expectClose(mix(rows, coefficients), preference, tolerance)
      // The rows sum to 1, so the coefficients do.
      #expect((coefficients.reduce(0, +) - 1).magnitude < tolerance * 10)
    }
    #expect(solved > 400)
  }

  @Test func largestMatrixIsSolved() throws {
    var random = SplitMix(seed: 2)
    let rows = (0..<64).map { _ in simplexPoint(64, &random) }
    let matrix = try BackboneMatrix(rows: rows)
    let preference = simplexPoint(64, &random)
    expectClose(mix(rows, try matrix.solve(preference)), preference)
  }

  @Test func moreBackbonesThanObjectivesTakeTheSolutionNearestToUniform() throws {
    var random = SplitMix(seed: 3)
    for _ in 0..<100 {
      let rows = (0..<5).map { _ in simplexPoint(3, &random) }
      guard let matrix = try? BackboneMatrix(rows: rows), matrix.conditionNumber < 100 else { continue }
      let solution = try matrix.solve(simplexPoint(3, &random))
      // Nearest where λ − u is orthogonal to the null space of Bᵀ, that is, a combination of B's columns.
      let offset = solution.map { $0 - 0.2 }
      let weights = try #require(leastSquares(rows, offset))
      expectClose(rows.map { dot($0, weights) }, offset, 1e-10)
    }
    expectClose(
      try BackboneMatrix(rows: [[1, 0], [0, 1], [0.5, 0.5]]).coefficients(for: [0.5, 0.5]),
      [1.0 / 3, 1.0 / 3, 1.0 / 3])
  }

  @Test func moreBackbonesThanObjectivesMoveContinuously() throws {
    let matrix = try BackboneMatrix(rows: [[0.8, 0.2], [0.2, 0.8], [0.5, 0.5], [0.6, 0.4]])
    var before: [Double]?
    for step in 0...1000 {
      let share = Double(step) / 1000
      let now = try matrix.solve([share, 1 - share])
      if let before { #expect(zip(before, now).allSatisfy { ($0 - $1).magnitude < 0.003 }) }
      before = now
    }
  }

  @Test func solutionIsLinearInThePreference() throws {
    var random = SplitMix(seed: 5)
    for count in [2, 3, 7] {
      let matrix = try bone(0.65, count)
      let (a, b) = (simplexPoint(count, &random), simplexPoint(count, &random))
      let middle = zip(a, b).map { 0.3 * $0 + 0.7 * $1 }
      let expected = zip(try matrix.solve(a), try matrix.solve(b)).map { 0.3 * $0 + 0.7 * $1 }
      expectClose(try matrix.solve(middle), expected)
    }
  }

  @Test func fewerBackbonesThanObjectivesServeTheirSpanOnly() throws {
    let matrix = try BackboneMatrix(rows: [[0.5, 0.5, 0], [0, 0.2, 0.8]])
    expectClose(try matrix.coefficients(for: [0.25, 0.35, 0.4]), [0.5, 0.5])
    #expect(try matrix.coefficients(for: [0.5, 0.5, 0]) == [1, 0])
    expectError(.unsolvable, containing: "misses objective") { try matrix.coefficients(for: [1, 0, 0]) }
    // The residual of (0.5 + 2e-6, 0.5 − 2e-6, 0) is above the limit, that of a tenth of it is not.
    expectError(.unsolvable) { try matrix.coefficients(for: [0.500004, 0.499996, 0]) }
    #expect(try matrix.coefficients(for: [0.5000004, 0.4999996, 0]) == [1, 0])
  }

  @Test(arguments: [
    [[0.5, 0.5], [0.5, 0.5]],
    [[0, 0], [0, 0]],
    [[1, 0], [1, 1e-7]],
    [[0.2, 0.8], [0.4, 1.6], [0.1, 0.4]],
    [[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]],
    [[1e-300, 1e-300], [1e300, 1e300]],
    [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.2, 0.25, 0.55]],
  ]) func singularAndIllConditionedMatricesAreRefusedWithTheFigure(rows: [[Double]]) {
    expectError(.unsolvable, containing: rows[0][1] == 0 && rows[1][1] == 0 ? "all zeros" : "condition number") {
      try BackboneMatrix(rows: rows)
    }
  }

  @Test func conditionJustBelowTheLimitIsAccepted() throws {
    let matrix = try BackboneMatrix(rows: [[1, 0], [0, 1.1e-6]])
    #expect((matrix.conditionNumber - 1 / 1.1e-6).magnitude < 1)
    expectError(.unsolvable) { try BackboneMatrix(rows: [[1, 0], [0, 0.9e-6]]) }
  }

  @Test func extremeScalesAreSolvedOrRefused() throws {
    let huge = try BackboneMatrix(rows: [[3e300, 0], [0, 3e300]])
    expectClose(try huge.solve([1, 0]).map { $0 * 3e300 }, [1, 0])
    let smallest = Double.leastNonzeroMagnitude
    let tiny = try BackboneMatrix(rows: [[smallest, 0], [0, smallest]])
    expectError(.unsolvable) { try tiny.solve([1, 0]) }
  }

  @Test func malformedMatricesAreRefused() {
    let bad: [[[Double]]] = [
      [], [[]], [[1, 0], [1]], [[.nan]], [[1, .infinity]], Array(repeating: [1], count: 65),
      [Array(repeating: 1, count: 65)],
    ]
    for rows in bad { expectError(.invalidArgument) { try BackboneMatrix(rows: rows) } }
    for count in [-1, 0, 1, 65] { expectError(.invalidArgument) { try BackboneMatrix.bone(beta: 0.6, count: count) } }
    expectError(.invalidArgument) { try BackboneMatrix.bone(beta: .nan, count: 2) }
    expectError(.unsolvable) { try BackboneMatrix.bone(beta: 0.5, count: 2) }
    expectError(.unsolvable) { try BackboneMatrix.bone(beta: 1.0 / 3 + 1e-9, count: 3) }
    for count in [-1, 0, 65] { expectError(.invalidArgument) { try BackboneMatrix.identity(count: count) } }
    expectError(.mismatch) { try BackboneMatrix.identity(count: 2).coefficients(for: [1]) }
    expectError(.invalidArgument) { try BackboneMatrix.identity(count: 2).coefficients(for: [1, .nan]) }
  }

  /// Bᵀλ.
  private func mix(_ rows: [[Double]], _ coefficients: [Double]) -> [Double] {
    rows[0].indices.map { column in zip(rows, coefficients).reduce(0) { $0 + $1.0[column] * $1.1 } }
  }

  /// w with B·w nearest to `target`, by the normal equations and Gauss-Jordan elimination.
  private func leastSquares(_ rows: [[Double]], _ target: [Double]) -> [Double]? {
    let count = rows[0].count
    var system = (0..<count).map { i in
      (0..<count).map { j in rows.reduce(0) { $0 + $1[i] * $1[j] } }
        + [zip(rows, target).reduce(0) { $0 + $1.0[i] * $1.1 }]
    }
    for pivot in 0..<count {
      guard let best = (pivot..<count).max(by: { system[$0][pivot].magnitude < system[$1][pivot].magnitude }),
        system[best][pivot] != 0
      else { return nil }
      system.swapAt(pivot, best)
      for row in 0..<count where row != pivot {
        let factor = system[row][pivot] / system[pivot][pivot]
        for column in 0...count { system[row][column] -= factor * system[pivot][column] }
      }
    }
    return (0..<count).map { system[$0][count] / system[$0][$0] }
  }
}
