import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct AttentionTests {
  /// First and last position seen.
  static let ranges = [
    (0, 0), (0, 15), (0, 16), (0, 31), (0, 32), (3, 20), (0, 62), (0, 63), (0, 64), (0, 65), (5, 63), (63, 64),
    (64, 64), (61, 66), (70, 200), (127, 128),
    (0, 200),
  ]

  @Test(arguments: CacheCase.all)
  func agreesWithPlainSoftmax(_ test: CacheCase) {
    var random = SplitMix(seed: 3)
    // f32 and f16 sum in f32; bf16 rounds queries and weights to 8 bits, q8_0 queries to 127 steps.
    let bounds: [CacheFormat: Double] = [.f32: 2e-6, .f16: 2e-6, .bf16: 4e-3, .q8_0: 1e-2]
    let bound = bounds[test.format] ?? 0
    for size in test.headSizes {
      let query = random.floats(size).map { $0 * 4 }
      let (keys, values) = (random.floats(201 * size), random.floats(201 * size))
      let (kept, mixed) = (test.format.round(keys), test.format.round(values))
      let scale = 1 / Float(size).squareRoot()
      for (first, last) in Self.ranges {
        let panels = CachePanels(test, headSize: size, positions: last + 1)
        panels.store(first..<last + 1, keys: keys, values: values)
        let out = panels.attend(query, position: last, window: last - first + 1, scale: scale)
        let scores = (first...last).map { p in
          Double(scale) * (0..<size).reduce(0.0) { $0 + Double(query[$1]) * Double(kept[p * size + $1]) }
        }
        let most = scores.max() ?? 0
        let weights = scores.map { exp($0 - most) }
        let total = weights.reduce(0, +)
        var expected = [Double](repeating: 0, count: size)
        for (position, weight) in zip(first...last, weights) {
          for column in 0..<size { expected[column] += weight * Double(mixed[position * size + column]) / total }
        }
        let error: Double = zip(out, expected).map { abs(Double($0) - $1) }.max() ?? .nan
        #expect(error < bound, "\(first) ... \(last) of \(size)")
      }
    }
  }

  @Test(arguments: CacheCase.all)
  func onePositionGivesItsValue(_ test: CacheCase) {
    var random = SplitMix(seed: 4)
    for size in test.headSizes {
      let (keys, values) = (random.floats(130 * size), random.floats(130 * size))
      for position in [0, 1, 62, 63, 64, 129] {
        let panels = CachePanels(test, headSize: size, positions: 130)
        panels.store(position..<position + 1, keys: keys, values: values)
        let out = panels.attend(random.floats(size), position: position, window: 1)
        let expected = Array(test.format.round(values)[position * size..<position * size + size])
        if test.format == .q8_0 {
          #expect(zip(out, expected).allSatisfy { abs($0 - $1) < 1e-6 })
        } else {
          #expect(out == expected)
        }
      }
    }
  }

  @Test(arguments: CacheCase.all.filter { $0.format != .q8_0 })
  func greatScoresDoNotOverflow(_ test: CacheCase) {
    var keys = [Float](repeating: -100, count: 130)
    keys[3] = 90
    keys[77] = 100
    let panels = CachePanels(test, headSize: 1, positions: 130)
    panels.store(0..<130, keys: keys, values: (0..<130).map { Float($0) })
    #expect(panels.attend([1000], position: 129) == [77])
    #expect(panels.attend([-1000], position: 3, window: 1) == [3])
    panels.store(2..<5, keys: [Float](repeating: 1, count: 5), values: [0, 1, 2, 3, 4])
    #expect(panels.attend([1], position: 4, window: 3, scale: -1) == [3])
    #expect(panels.attend([1], position: 4, window: 3, scale: 0) == [3])
  }

  @Test(arguments: CacheCase.all)
  func noPositionGivesZero(_ test: CacheCase) {
    let query = [Float](repeating: 1, count: 32)
    let panels = CachePanels(test, headSize: 32, positions: 128)
    panels.missing = [0, 1]
    #expect(panels.attend(query, position: 70) == [Float](repeating: 0, count: 32))
    // A block that is missing doesn't count; the others do.
    panels.missing = [0]
    panels.store(70, key: query, value: query)
    let out = panels.attend(query, position: 70, window: 7)
    #expect(out.allSatisfy { $0.isNaN })
    for position in 64..<70 { panels.store(position, key: query, value: query) }
    #expect(panels.attend(query, position: 70).allSatisfy { abs($0 - 1) < 1e-3 })
  }

  @Test(arguments: CacheCase.all)
  func nothingIsReadOrWrittenForNothing(_ test: CacheCase) {
    let panels = CachePanels(test, headSize: 32, positions: 1)
    for (rows, heads) in [(0, 1), (1, 0), (-1, 3)] {
      let out = Fenced(floats: 32)
      test.kernels.attention(
        AttentionCall(
          queries: out.floats, out: out.floats, rowStride: 32, rows: rows, heads: heads, headSize: 32,
          keys: [nil], values: [nil], format: test.format, position: 0, scale: 1))
      #expect(out.values.allSatisfy { $0.isNaN })
    }
    withExtendedLifetime(panels) {}
  }

  @Test(arguments: CacheCase.all, [Float.nan, .infinity, -.infinity])
  func whatIsSeenIsNotHidden(_ test: CacheCase, _ value: Float) {
    let ones = [Float](repeating: 1, count: 32)
    for position in [0, 63, 64, 66] {
      for (inKey, query) in [(true, 1), (false, 0)] as [(Bool, Float)] {
        let panels = CachePanels(test, headSize: 32, positions: 128)
        for p in 0..<70 { panels.store(p, key: ones, value: ones) }
        let odd: [Float] = ones.dropLast() + [value]
        panels.store(position, key: inKey ? odd : ones, value: inKey ? ones : odd)
        let out = panels.attend([Float](repeating: query, count: 32), position: 69)
        // A key of −∞ makes a weight of zero in the formats that keep infinities.
        if inKey, value == -.infinity, test.format != .q8_0 {
          #expect(out.allSatisfy { abs($0 - 1) < 1e-6 })
        } else {
          #expect(!out[31].isFinite, "\(position)")
        }
      }
    }
  }
}
