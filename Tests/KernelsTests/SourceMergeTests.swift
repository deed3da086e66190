import Kernels
import TestSupport
import Testing

/// Task vectors in registers, against the same in steps.
@Suite struct SourceMergeTests {
  @Test(arguments: Case.all)
  func magnitudesOfDifferencesAreCounted(_ test: Case) {
    var random = SplitMix(seed: 31)
    for count in awkwardCounts {
      // Multiples of 1/4, so that many are equal.
      let pair = (0..<2).map { _ in (0..<count).map { _ in Float(Int(random.below(9)) - 4) * 0.25 } }
      let (source, base) = (Fenced(bytes: test.type.bytes(pair[0])), Fenced(bytes: test.type.bytes(pair[1])))
      let bits = zip(pair[0], pair[1]).map { ($0 - $1).magnitude.bitPattern }
      let known = Float(0.5).bitPattern
      for (low, shift, bins) in [(UInt32(0), 15, 65_536), (Float(0.25).bitPattern, 12, 4096), (known, 0, 1)] {
        var histogram = [UInt32](repeating: 0, count: bins)
        var counts = [1, 2]
        test.kernels.countDeltas(
          type: test.type, source: source.start, base: base.start, count: count, low: low, shift: UInt32(shift),
          bins: bins, known: known, into: &histogram, counts: &counts)
        let high = low + UInt32(bins) << UInt32(shift)
        var expected = [UInt32](repeating: 0, count: bins)
        for value in bits where value >= low && value < high && value != known {
          expected[Int((value - low) >> UInt32(shift))] += 1
        }
        #expect(histogram == expected)
        #expect(counts == [1 + bits.count { $0 >= high }, 2 + bits.count { $0 == known }])
      }
    }
  }

  @Test(arguments: Case.all, [true, false])
  func sourcesAreMergedWithTheBitsOfTheirDeltas(_ test: Case, elects: Bool) {
    var random = SplitMix(seed: 32)
    for count in awkwardCounts {
      for n in 1...4 {
        let base = Fenced(bytes: test.type.bytes(random.floats(count)))
        let sources = (0..<n).map { _ in Fenced(bytes: test.type.bytes(random.floats(count))) }
        let lows = [UInt32(0), Float(0.5).bitPattern, Float(1).bitPattern, .max]
        let (scales, weights) = ([1, 2, 0.75, 1] as [Float], [0.5, -0.75, 1.75, 0.3] as [Float])
        let (merged, expected) = (Fenced(floats: count), Fenced(floats: count))
        let starts = sources.map { UnsafeRawPointer($0.start) }
        starts.withUnsafeBufferPointer {
          test.kernels.mergeSources(
            type: test.type, $0, lows: lows, factors: zip(scales, weights).flatMap { [$0, $1] }, elects: elects,
            lambda: 0.9, base: base.start, count: count, into: merged.floats)
        }
        test.kernels.widen(type: test.type, source: base.start, count: count, into: expected.floats)
        let deltas = sources.enumerated().map { index, source in
          let delta = Fenced(floats: count)
          test.kernels.difference(
            type: test.type, source: source.start, base: expected.floats, count: count, into: delta.floats)
          test.kernels.keepMagnitudes(delta.floats, count: count, low: lows[index], high: .max)
          return delta
        }
        let pointers = deltas.map { UnsafePointer($0.floats) }
        test.kernels.mergeDeltas(
          pointers, factors: zip(scales, weights).flatMap { [$0, $1, 1, $1] }, n: n, flags: elects ? .elect : [],
          divisor: 1, lambda: 0.9, base: expected.floats, count: count, into: expected.floats)
        #expect(merged.bits == expected.bits)
      }
    }
  }
}
