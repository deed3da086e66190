import TestSupport
import Testing

@testable import Kernels

@Suite struct InstructionSetTests {
  @Test func aNameSetsTheLevelAsFarAsTheMachineHasIt() {
    let highest = levels.map(\.instructionSet).max() ?? .baseline
    #expect(Kernels.atMost(nil).instructionSet == .best)
    #expect(Kernels.atMost("sse9").instructionSet == .best)
    #expect(Kernels.atMost("baseline").instructionSet == .baseline)
    for level in InstructionSet.allCases { #expect(Kernels.atMost(level.name).instructionSet == min(level, highest)) }
    #expect(highest >= Kernels.detect().instructionSet)
  }

  @Test func levelsThatTheMachineLacksAreNil() {
    for level in InstructionSet.allCases { #expect((Kernels(level) != nil) == level.isSupported) }
  }

  @Test(arguments: WeightFormat.allCases)
  func levelsMultiplyAlike(_ format: WeightFormat) {
    var random = SplitMix(seed: 15)
    for count in awkwardCounts.dropFirst() {
      let x = random.floats(7 * count)
      let values = random.floats(64 * count)
      let results = alikeLevels(isBF16: format == .bf16).map { kernels in
        let matrix = PackedMatrix(PanelCase(kernels: kernels, format: format), values, rows: 64, columns: count)
        return matrix.multiply(x, groups: TokenGroups(tokens: 7), count: 7).map(\.bitPattern)
      }
      #expect(Set(results).count <= 1)
    }
  }

  @Test func levelsNormaliseAlike() {
    var random = SplitMix(seed: 16)
    for count in awkwardCounts.dropFirst() {
      let x = random.floats(7 * count)
      let results = alikeLevels().map { kernels in
        let (probabilities, normal) = (Fenced(x), Fenced(floats: count))
        let logarithm = kernels.softmax(x: probabilities.floats, count: 7 * count)
        kernels.rmsNorm(x: x, weight: x, epsilon: 1e-6, count: count, y: normal.floats)
        return probabilities.bits + normal.bits + [logarithm.bitPattern]
      }
      #expect(Set(results).count <= 1)
    }
  }
}
