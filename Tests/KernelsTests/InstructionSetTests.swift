import TestSupport
import Testing

@testable import Kernels

@Suite struct InstructionSetTests {
  @Test func nameLowersTheLevelAndNeverRaisesIt() {
    let best = levels.map(\.instructionSet).max() ?? .baseline
    #expect(Kernels.atMost(nil).instructionSet == best)
    #expect(Kernels.atMost("sse9").instructionSet == best)
    #expect(Kernels.atMost("baseline").instructionSet == .baseline)
    for level in InstructionSet.allCases { #expect(Kernels.atMost(level.name).instructionSet == min(level, best)) }
    #expect(best >= Kernels.detect().instructionSet)
  }

  @Test func levelsThatTheMachineLacksAreNil() {
    for level in InstructionSet.allCases { #expect((Kernels(level) != nil) == level.isSupported) }
  }

  /// The two fused levels cut the 16 lanes differently and must not differ in a bit.
  @Test(
    .enabled(if: InstructionSet.avx512.isSupported), arguments: ElementType.allCases)
  func avx2AndAVX512GiveEqualBits(_ type: ElementType) throws {
    let pair = [try #require(Kernels(.avx2)), try #require(Kernels(.avx512))]
    var random = SplitMix(seed: 15)
    for count in awkwardCounts.dropFirst() {
      let x = random.floats(7 * count)
      let w = type.bytes(random.floats(64 * count))
      let results = pair.map { kernels in
        let (product, probabilities, normal) = (Fenced(floats: 7 * 64), Fenced(x), Fenced(floats: count))
        let logarithm = kernels.softmax(x: probabilities.floats, count: 7 * count)
        kernels.rmsNorm(x: x, weight: x, epsilon: 1e-6, count: count, y: normal.floats)
        w.withUnsafeBytes { w in
          guard let w = w.baseAddress else { return }
          kernels.matmul(
            x: x, ldx: count, m: 7, w: w, type: type, ldw: count, n: 64, k: count, y: product.floats, ldy: 64,
            accumulate: false)
        }
        return product.bits + probabilities.bits + normal.bits + [logarithm.bitPattern]
      }
      #expect(results[0] == results[1])
    }
  }
}
