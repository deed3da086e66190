import Checkpoints
import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

@Suite struct LowRankTests {
  private let engine = makeEngine(threads: 2)

  private func random(_ rank: Int, _ rows: Int, _ columns: Int, seed: UInt64) throws -> RankFactors {
    let factors = try RankFactors(rank: rank, rows: rows, columns: columns, engine: engine)
    var random = SplitMix(seed: seed)
    for index in 0..<rank * rows { factors.left(0)[index] = Float.random(in: -1...1, using: &random) }
    for index in 0..<rank * columns { factors.right(0)[index] = Float.random(in: -1...1, using: &random) }
    return factors
  }

  private func product(_ factors: RankFactors) -> [Float] {
    var result = [Float](repeating: 0, count: factors.rows * factors.columns)
    for row in 0..<factors.rows {
      for column in 0..<factors.columns {
        var sum = 0.0
        for rank in 0..<factors.rank { sum += Double(factors.left(rank)[row]) * Double(factors.right(rank)[column]) }
        result[row * factors.columns + column] = Float(sum)
      }
    }
    return result
  }

  @Test(arguments: [(3, 40, 30), (1, 5, 7), (7, 7, 9), (9, 600, 5), (12, 8, 700)])
  func orthogonalFactorsHaveTheSameProduct(_ rank: Int, _ rows: Int, _ columns: Int) throws {
    let factors = try random(rank, rows, columns, seed: 1)
    let turned = try factors.orthogonalized(engine: engine, monitor: .none)
    #expect(relativeDistance(product(turned), product(factors)) < 1e-5)
    for first in 0..<rank {
      for second in 0..<first {
        #expect(productSum(turned.left(first), turned.left(second), rows).magnitude < 1e-5)
      }
      let length = productSum(turned.left(first), turned.left(first), rows)
      // More vectors than dimensions: the last ones are 0.
      #expect((length - 1).magnitude < 1e-5 || length == 0 && first >= rows)
    }
  }

  @Test func vectorsThatOthersSpanBecomeZero() throws {
    let factors = try random(4, 50, 1, seed: 2)
    factors.left(2).update(from: factors.left(0), count: 50)
    for place in 0..<50 { factors.left(3)[place] = factors.left(0)[place] * 2 - factors.left(1)[place] }
    try orthonormalize(factors.left(0), count: 4, length: 50, engine: engine, monitor: .none)
    #expect((0..<50).allSatisfy { factors.left(2)[$0] == 0 && factors.left(3)[$0] == 0 })
    #expect((productSum(factors.left(1), factors.left(1), 50) - 1).magnitude < 1e-5)
  }

  @Test func recompressionKeepsAProductOfFewerRanks() throws {
    let few = try random(3, 40, 30, seed: 3)
    let many = try RankFactors(rank: 6, rows: 40, columns: 30, engine: engine)
    // The same product written with twice the ranks: each half of it.
    for rank in 0..<6 {
      many.left(rank).update(from: few.left(rank % 3), count: 40)
      for place in 0..<30 { many.right(rank)[place] = few.right(rank % 3)[place] / 2 }
    }
    let found = try many.recompressed(to: 3, engine: engine, monitor: .none)
    #expect(found.rank == 3 && relativeDistance(product(found), product(few)) < 1e-5)
    #expect(try many.recompressed(to: 6, engine: engine, monitor: .none).left === many.left)
  }

  @Test func subspacesOfOneColumnOneRowAndAllDirectionsAreExact() throws {
    for (rows, columns, rank) in [(1, 60, 1), (60, 1, 1), (20, 33, 20), (33, 20, 20), (600, 300, 4)] {
      let exact = try random(min(rank, 4), rows, columns, seed: 4)
      let sum = TermSum(products: [(exact, 1)], rows: rows, columns: columns, kernels: engine.kernels)
      let found = try SubspaceIteration(matrix: sum, engine: engine, monitor: .none).factors(
        count: rank, earlier: nil)
      var rest = sum
      rest.products.append((found, -1))
      let lost = try rest.squares(engine: engine, monitor: .none)
      let whole = try sum.squares(engine: engine, monitor: .none)
      #expect(lost < 1e-10 * whole)
    }
  }

  @Test(arguments: [0, 1, 7, 8, 511, 512, 513, 1300])
  func productSumsAreSums(_ count: Int) {
    var random = SplitMix(seed: UInt64(count))
    let a = (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
    let b = (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
    let exact = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    #expect((productSum(a, b, count) - exact).magnitude < 1e-4)
  }

  @Test func aCancelStopsAFactoring() throws {
    let token = try CancelToken.make()
    defer { token.release() }
    token.cancel()
    let soup = try openSoup(Fixtures.soup("llama3-full"))
    let folder = try TemporaryFolder()
    var options = FactoringOptions()
    options.vectors = .dropped
    #expect(
      failure {
        try BackboneFactoring(soup, backbone: 0, options).run(
          folder.path + "/out", monitor: Monitor(token: token, progress: nil))
      }.hasPrefix("cancelled"))
  }
}
