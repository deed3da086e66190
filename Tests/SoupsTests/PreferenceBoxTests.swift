import Platform
import TestSupport
import Testing

@testable import Soups

@Suite struct PreferenceBoxTests {
  private func box(_ limits: [(Double, Double)]) throws -> PreferenceBox {
    try PreferenceBox(
      objectives: limits.enumerated().map { index, limit in
        var objective = try Objective(name: "o\(index)")
        (objective.minimum, objective.maximum) = limit
        return objective
      })
  }

  @Test func projectionOfSmallCases() throws {
    expectClose(try box([(0, 0.6), (0, 1)]).project([0.9, 0.1]), [0.6, 0.4], 1e-15)
    expectClose(try box([(0, 0.5), (0, 1), (0, 1)]).project([0.9, 0.1, 0]), [0.5, 0.3, 0.2], 1e-15)
    expectClose(try box([(0.2, 1), (0.2, 1), (0.2, 1)]).project([1, 0, 0]), [0.6, 0.2, 0.2], 1e-15)
    #expect(try box([(0, 1), (0, 1)]).project([0.3, 0.7]) == [0.3, 0.7])
    #expect(try box([(0.25, 0.25), (0.75, 0.75)]).project([1, 0]) == [0.25, 0.75])
    #expect(try box([(1, 1)]).project([1]) == [1])
  }

  @Test func aBoxOfOnePointIsThatPoint() throws {
    // The minima sum to 1 but for rounding.
    let limits = [(0.1, 1.0), (0.2, 1.0), (0.7, 1.0)]
    expectClose(try box(limits).project([0, 0, 1]), [0.1, 0.2, 0.7], 1e-15)
    expectClose(try box([(0, 0.1), (0, 0.2), (0, 0.7)]).project([0, 0, 1]), [0.1, 0.2, 0.7], 1e-15)
  }

  /// Of a convex problem these conditions are sufficient (Karush, Kuhn, Tucker): one τ for all elements between their
  /// limits, those at the lower limit having μ − τ below it, those at the upper above.
  @Test func projectionMeetsTheOptimalityConditions() throws {
    var random = SplitMix(seed: 11)
    var projected = 0
    for _ in 0..<5000 {
      let count = Int.random(in: 1...10, using: &random)
      let limits = (0..<count).map { _ in
        let (a, b) = (Double.random(in: 0...1, using: &random), Double.random(in: 0...1, using: &random))
        return Bool.random(using: &random) ? (min(a, b) / Double(count), max(a, b)) : (0.0, 1.0)
      }
      guard let box = try? box(limits) else { continue }
      var preference = simplexPoint(count, &random)
      if Bool.random(using: &random) { preference = preference.indices.map { $0 == 0 ? 1 : 0 } }
      let result = box.project(preference)
      projected += 1
      #expect((result.reduce(0, +) - 1).magnitude <= 2e-15)
      #expect(box.violation(result, tolerance: 0) == nil)
      #expect(box.project(result) == result)
      var lowest = -Double.infinity
      var highest = Double.infinity
      for index in 0..<count {
        let shift = preference[index] - result[index]
        let (least, most) = limits[index]
        if result[index] > least + 1e-14 { highest = min(highest, shift) }
        if result[index] < most - 1e-14 { lowest = max(lowest, shift) }
      }
      #expect(lowest <= highest + 1e-14, "\(preference) to \(result) in \(limits)")
    }
    #expect(projected > 2000)
  }

  @Test func projectionIsNearerThanAnyPointOfAGrid() throws {
    let box = try box([(0.1, 0.5), (0, 0.35), (0.2, 0.9)])
    for target in [[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.4, 0], [0.05, 0.9, 0.05]] {
      let best = distance(target, box.project(target))
      for first in 0...200 {
        for second in 0...(200 - first) {
          let point = [Double(first) / 200, Double(second) / 200, Double(200 - first - second) / 200]
          if box.violation(point, tolerance: 0) == nil { #expect(distance(target, point) >= best - 1e-12) }
        }
      }
    }
  }

  @Test func emptyBoxesAreRefused() {
    expectError(.guardRail, containing: "1.2") { try box([(0.6, 1), (0.6, 1)]) }
    expectError(.guardRail, containing: "0.8") { try box([(0, 0.4), (0, 0.4)]) }
  }

  private func distance(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  }
}
