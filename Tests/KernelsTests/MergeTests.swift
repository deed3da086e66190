import Kernels
import TestSupport
import Testing

@Suite struct MergeTests {
  @Test(arguments: Case.all)
  func scaleAndScaleAddAgreeWithScalarDefinition(_ test: Case) {
    var random = SplitMix(seed: 13)
    let fused = test.kernels.instructionSet != .baseline
    for count in awkwardCounts {
      let (a, b) = (test.type.round(random.floats(count)), test.type.round(random.floats(count)))
      let (first, second) = (Fenced(bytes: test.type.bytes(a)), Fenced(bytes: test.type.bytes(b)))
      let sum = Fenced(floats: count)
      test.kernels.scale(coefficient: -0.75, type: test.type, source: first.start, count: count, into: sum.floats)
      #expect(sum.values == a.map { -0.75 * $0 })
      test.kernels.scaleAdd(coefficient: 1.75, type: test.type, source: second.start, count: count, into: sum.floats)
      let expected = zip(a, b).map { fused ? (-0.75 * $0).addingProduct(1.75, $1) : -0.75 * $0 + 1.75 * $1 }
      #expect(sum.values == expected)
    }
  }

  @Test(arguments: Case.all)
  func coefficientOneGivesEveryBit(_ test: Case) {
    let bits: [UInt32] =
      test.type == .f32
      ? [0x8000_0000, 1, 0x807f_ffff, 0x7f80_0000, 0x7fc0_1234, 0x3f80_0001]
      : [0x8000, 1, 0x807f, 0x7c00, 0x7fc1, 0x3f01]
    let source = Fenced(bytes: test.type.bytes(ofBits: bits))
    let (wide, back) = (Fenced(floats: bits.count), Fenced(byteCount: bits.count * test.type.byteCount))
    test.kernels.scale(coefficient: 1, type: test.type, source: source.start, count: bits.count, into: wide.floats)
    test.kernels.narrow(source: wide.floats, type: test.type, count: bits.count, into: back.start)
    #expect(test.type.bits(back) == bits)
  }

  @Test(arguments: Case.all)
  func mergeHasTheBitsOfItsTermsOneAfterTheOther(_ test: Case) {
    var random = SplitMix(seed: 14)
    for count in awkwardCounts {
      for terms in 1...4 {
        let sources = (0..<terms).map { _ in Fenced(bytes: test.type.bytes(random.floats(count))) }
        let coefficients: [Float] = [1, -0.75, 1.75, 0.3].suffix(terms).reversed()
        let (there, one, many) = (random.floats(count), Fenced(floats: count), Fenced(floats: count))
        for accumulates in [false, true] {
          for index in 0..<count { (one.floats[index], many.floats[index]) = (there[index], there[index]) }
          for (index, (source, c)) in zip(sources, coefficients).enumerated() {
            if index == 0, !accumulates {
              test.kernels.scale(coefficient: c, type: test.type, source: source.start, count: count, into: one.floats)
            } else {
              test.kernels.scaleAdd(
                coefficient: c, type: test.type, source: source.start, count: count, into: one.floats)
            }
          }
          let list = zip(sources, coefficients).map { MergeTerm(source: $0.start, coefficient: $1) }
          list.withUnsafeBufferPointer {
            test.kernels.merge($0, type: test.type, count: count, accumulates: accumulates, into: many.floats)
          }
          #expect(many.bits == one.bits)
        }
      }
    }
  }

  @Test(arguments: Case.all)
  func firstNonFiniteIsFoundWhereverItStands(_ test: Case) {
    for count in awkwardCounts {
      let clean = [Float](repeating: -60000, count: count)
      let source = Fenced(bytes: test.type.bytes(clean))
      #expect(test.kernels.firstNonFinite(type: test.type, source: source.start, count: count) == nil)
      for index in Set([0, 14, 15, 16, 40, count / 2, count - 1]) where 0 <= index && index < count {
        for bad in [Float.nan, .infinity, -.infinity] {
          var values = clean
          values[index] = bad
          values[count - 1] = .nan
          let source = Fenced(bytes: test.type.bytes(values))
          #expect(test.kernels.firstNonFinite(type: test.type, source: source.start, count: count) == index)
        }
      }
    }
  }
}
