import Platform
import Testing

@Suite struct PhiloxTests {
  /// The known answers of the authors' Random123 library (kat_vectors, philox4x32 10).
  @Test func blocksEqualThePublishedVectors() {
    #expect(
      Philox.block(counter: SIMD4(repeating: 0), key: SIMD2(repeating: 0))
        == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
    #expect(
      Philox.block(counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max))
        == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
    #expect(
      Philox.block(
        counter: SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), key: SIMD2(0xA409_3822, 0x299F_31D0))
        == SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
  }

  @Test func uniformTakesTheHighBitsOfTheFirstTwoWords() {
    #expect(Philox(seed: 0).uniform(step: 0) == Double(0xE169_C58D_6627_E8D5 as UInt64 >> 11) * 0x1p-53)
  }

  @Test func numbersAreUniformAndBelowOne() {
    var counts = [Int](repeating: 0, count: 64)
    for step in 0..<64_000 as Range<UInt64> {
      let number = Philox(seed: 42).uniform(step: step)
      #expect(number >= 0 && number < 1)
      counts[Int(number * 64)] += 1
    }
    let chiSquare = counts.reduce(0.0) { $0 + (Double($1) - 1000) * (Double($1) - 1000) / 1000 }
    #expect(chiSquare < 63 + 4 * 11.2)
  }

  @Test func seedsAndStepsGiveDifferentNumbers() {
    var seen: Set<Double> = []
    for seed in [0, 1, 1 << 32, UInt64.max] {
      for step in [0, 1, 1 << 32, UInt64.max] { seen.insert(Philox(seed: seed).uniform(step: step)) }
    }
    #expect(seen.count == 16)
  }
}
