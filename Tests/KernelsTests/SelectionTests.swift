import Kernels
import TestSupport
import Testing

/// Choosing elements by magnitude, at random and by rank, against scalar statements.
@Suite struct SelectionTests {
  private func values(_ count: Int, seed: UInt64, _ kind: Int) -> [Float] {
    var random = SplitMix(seed: seed)
    return (0..<count).map { index in
      switch kind {
      case 0: random.floats(1)[0]
      // Few different magnitudes, as of models in bf16; and a descent within the same upper bits.
      case 1: Float(Int(random.below(7)) - 3) * 0.25
      case 2: Float(bitPattern: 0x3f80_7fff - UInt32(index % 1000))
      // Much of it equal, all of it 0, and what is no finite number.
      case 3: index % 3 == 0 ? random.floats(1)[0] : -0.5
      case 4: 0
      default: index == 77 ? .nan : index % 50 == 1 ? .infinity : random.floats(1)[0]
      }
    }
  }

  @Test(arguments: levels, [0, 1, 2, 3, 4, 5])
  func rowsArePrunedByRank(kernels: Kernels, kind: Int) {
    for count in [1, 2, 15, 64, 127, 128, 129, 300, 1000, 5003] {
      let x = values(count, seed: UInt64(count), kind)
      var random = SplitMix(seed: 5)
      let words = (0..<count).map { _ in UInt32(truncatingIfNeeded: random.next()) }
      // From a third to two thirds.
      let limits = (0..<count).map { UInt32(0x5555_5555 + UInt64($0 + 1) * 0x5555_5555 / UInt64(count)) }
      var pruned = x
      var scratch = [UInt64](repeating: 0, count: 2 * count)
      kernels.pruneRow(&pruned, count: count, words: words, limits: limits, scratch: &scratch)
      let order = (0..<count).sorted {
        (x[$0].magnitude.bitPattern, $0) < (x[$1].magnitude.bitPattern, $1)
      }
      var expected = x
      for (rank, index) in order.enumerated() where words[index] >= limits[rank] { expected[index] = 0 }
      #expect(sameBits(pruned, expected), "\(count)")
    }
  }

  @Test(arguments: levels)
  func magnitudesAreCountedAndKept(kernels: Kernels) {
    for count in awkwardCounts {
      let x = values(count, seed: 3, 1)
      let halves = x.count { $0.magnitude == 0.5 }
      for (low, shift, bins) in [(0, 15, 65_536), (Float(0.5).bitPattern, 0, 10), (Float(0.25).bitPattern, 4, 1 << 17)]
      {
        var histogram = [UInt32](repeating: 0, count: bins)
        let above = kernels.magnitudeHistogram(
          x, count: count, low: low, shift: UInt32(shift), bins: bins, into: &histogram)
        var expected = [UInt32](repeating: 0, count: bins)
        var beyond = 0
        for value in x where value.magnitude.bitPattern >= low {
          let bin = Int(value.magnitude.bitPattern - low) >> shift
          if bin < bins { expected[bin] += 1 } else { beyond += 1 }
        }
        #expect(histogram == expected && above == beyond)
      }
      #expect(kernels.magnitudeCount(x, count: count, bits: Float(0.5).bitPattern) == halves)
      var kept = x
      kernels.keepMagnitudes(&kept, count: count, low: Float(0.25).bitPattern, high: Float(0.5).bitPattern)
      #expect(kept == x.map { (0.25...0.5).contains($0.magnitude) ? $0 : 0 })
      var bits = [UInt16](repeating: 0, count: (count + 15) / 16)
      kernels.packChosen(kept, count: count, into: &bits)
      var packed = x
      kernels.keepPacked(&packed, bits: bits, count: count)
      var chosen = x
      kernels.keepChosen(&chosen, chosen: kept, count: count)
      #expect(packed == kept && chosen == kept)
    }
  }

  @Test(arguments: levels)
  func randomWordsArePhilox(kernels: Kernels) {
    // Random123's known answer for counter and key of all ones, and its neighbours' independence of the start.
    var words = [UInt32](repeating: 0, count: 64)
    kernels.randomWords(seed: .max, first: .max, .max, .max, .max, count: 64, into: &words)
    #expect(words[..<4] == [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD])
    var (long, part) = ([UInt32](repeating: 0, count: 256), [UInt32](repeating: 0, count: 64))
    kernels.randomWords(seed: 7, first: 100, 1, 2, 3, count: 256, into: &long)
    kernels.randomWords(seed: 7, first: 116, 1, 2, 3, count: 64, into: &part)
    #expect(Array(long[64..<128]) == part)
    var x = [Float](repeating: 1, count: 50)
    kernels.keepWords(&x, words: long, limit: 1 << 31, count: 50)
    #expect(x == long[..<50].map { $0 < 1 << 31 ? 1 : 0 })
    let drawn = values(50, seed: 9, 0)
    var bits = [UInt16](repeating: 0, count: 4)
    let sum = kernels.draw(drawn, words: long, limit: 1 << 31, count: 50, bits: &bits)
    let expected = zip(drawn, long).reduce(0.0) { $0 + ($1.1 < 1 << 31 ? Double($1.0.magnitude) : 0) }
    #expect(abs(sum - expected) < 1e-12)
    #expect((0..<50).allSatisfy { (bits[$0 / 16] >> UInt16($0 % 16) & 1 == 1) == (long[$0] < 1 << 31) })
  }
}
