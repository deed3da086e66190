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
  @Test(.enabled(if: InstructionSet.avx512.isSupported))
  func avx2AndAVX512GiveEqualBits() throws {
    let pair = [try #require(Kernels(.avx2)), try #require(Kernels(.avx512))]
    var random = SplitMix(seed: 15)
    for count in awkwardCounts.dropFirst() {
      let x = random.floats(7 * count)
      let values = random.floats(64 * count)
      let results = pair.map { kernels in
        // Pairs of bf16 are multiplied by an instruction of the higher level alone.
        let formats = WeightFormat.allCases.filter { $0 != .bf16 }
        let products = formats.flatMap { format -> [UInt32] in
          let matrix = PackedMatrix(PanelCase(kernels: kernels, format: format), values, rows: 64, columns: count)
          return matrix.multiply(x, groups: TokenGroups(tokens: 7), count: 7).map(\.bitPattern)
        }
        let (probabilities, normal) = (Fenced(x), Fenced(floats: count))
        let logarithm = kernels.softmax(x: probabilities.floats, count: 7 * count)
        kernels.rmsNorm(x: x, weight: x, epsilon: 1e-6, count: count, y: normal.floats)
        return products + probabilities.bits + normal.bits + [logarithm.bitPattern]
      }
      #expect(results[0] == results[1])
    }
  }
}
