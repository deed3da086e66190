import TestSupport
import Testing

@testable import Generation

@Suite struct FairSharesTests {
  @Test(arguments: [
    (10, [3, 3, 3], [3, 3, 3]), (10, [1, 100, 1], [1, 8, 1]), (9, [100, 100, 100], [3, 3, 3]),
    (2, [5, 5, 5], [1, 1, 0]),
    (128, [1, 200, 50, 0], [1, 77, 50, 0]), (0, [4], [0]), (5, [], []), (3, [0, 0], [0, 0]),
  ])
  func nothingIsLeftWhileAnybodyWantsIt(_ total: Int, _ wanted: [Int], _ shares: [Int]) {
    #expect(FairShares.of(total, among: wanted) == shares)
  }

  @Test func noShareIsMoreThanOneAboveAnUnsatisfiedOne() {
    var random = SplitMix(seed: 3)
    for _ in 0..<500 {
      let total = Int.random(in: 0...300, using: &random)
      let wanted = (0..<Int.random(in: 0...20, using: &random)).map { _ in Int.random(in: 0...100, using: &random) }
      let shares = FairShares.of(total, among: wanted)
      #expect(shares.reduce(0, +) == min(total, wanted.reduce(0, +)))
      for (index, share) in shares.enumerated() where share < wanted[index] {
        #expect(shares.allSatisfy { $0 <= share + 1 })
      }
    }
  }
}
