import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct AttentionTests {
  static let ranges = [
    (0, 0), (0, 15), (0, 62), (0, 63), (0, 64), (0, 65), (5, 63), (63, 64), (64, 64), (61, 66), (70, 200), (127, 128),
    (0, 200),
  ]

  /// Keys or values of `count` positions in fenced blocks of 64; positions outside `range` are NaN.
  private func blocks(_ values: [Float], _ headDim: Int, _ range: ClosedRange<Int>, _ type: ElementType) -> [Fenced] {
    (0..<(range.upperBound >> 6) + 1).map { block in
      let block = (0..<64 * headDim).map { index in
        let position = block * 64 + index / headDim
        return range.contains(position) ? values[position * headDim + index % headDim] : .nan
      }
      return Fenced(bytes: type.bytes(block))
    }
  }

  /// Blocks that lie wholly before the range are nil.
  private func attend(
    _ test: Case, _ query: [Float], _ keys: [Float], _ values: [Float], _ first: Int, _ last: Int, _ scale: Float
  ) -> [Float] {
    let (out, queries) = (Fenced(floats: query.count), Fenced(query))
    let k = blocks(keys, query.count, first...last, test.type)
    let v = blocks(values, query.count, first...last, test.type)
    let pointers = { (blocks: [Fenced]) in
      blocks.enumerated().map { $0 < first >> 6 ? nil : UnsafeRawPointer($1.start) }
    }
    test.kernels.attention(
      query: queries.floats, headDim: query.count, kBlocks: pointers(k), vBlocks: pointers(v), type: test.type,
      first: first, last: last, scale: scale, out: out.floats)
    return withExtendedLifetime((k, v)) { out.values }
  }

  @Test(arguments: Case.all)
  func agreesWithPlainSoftmax(_ test: Case) {
    var random = SplitMix(seed: 3)
    for headDim in [1, 17, 80, 128] {
      let query = random.floats(headDim).map { $0 * 4 }
      let keys = test.type.round(random.floats(201 * headDim))
      let values = test.type.round(random.floats(201 * headDim))
      let scale = 1 / Float(headDim).squareRoot()
      for (first, last) in Self.ranges {
        let scores = (first...last).map { p in
          Double(scale) * (0..<headDim).reduce(0.0) { $0 + Double(query[$1]) * Double(keys[p * headDim + $1]) }
        }
        let most = scores.max() ?? 0
        let weights = scores.map { exp($0 - most) }
        let total = weights.reduce(0, +)
        let out = attend(test, query, keys, values, first, last, scale)
        var expected = [Double](repeating: 0, count: headDim)
        for (position, weight) in zip(first...last, weights) {
          for column in 0..<headDim { expected[column] += weight * Double(values[position * headDim + column]) / total }
        }
        let close = zip(out, expected).allSatisfy { abs(Double($0) - $1) < 2e-6 }
        #expect(close, "\(first) ... \(last) of \(headDim)")
      }
    }
  }

  @Test(arguments: Case.all)
  func onePositionGivesItsValueExactly(_ test: Case) {
    var random = SplitMix(seed: 4)
    let values = test.type.round(random.floats(130 * 20))
    for position in [0, 1, 63, 64, 129] {
      let out = attend(test, random.floats(20), random.floats(130 * 20), values, position, position, 1)
      #expect(out == Array(values[position * 20..<position * 20 + 20]))
    }
  }

  @Test(arguments: Case.all)
  func greatScoresDoNotOverflow(_ test: Case) {
    let values = (0..<130).map { Float($0) }
    var keys = [Float](repeating: -100, count: 130)
    keys[3] = 90
    keys[77] = 100
    #expect(attend(test, [1000], keys, values, 0, 129, 1) == [77])
    #expect(attend(test, [-1000], keys, values, 3, 3, 1) == [3])
    #expect(attend(test, [1], [Float](repeating: 1, count: 130), values, 2, 4, -1) == [3])
    #expect(attend(test, [1], [Float](repeating: 1, count: 130), values, 2, 4, 0) == [3])
  }

  @Test(arguments: levels)
  func noPositionGivesZero(_ kernels: Kernels) {
    let nothing: [UnsafeRawPointer?] = [nil, nil]
    for (first, last) in [(3, 2), (0, -1), (0, 70), (-1, 5)] {
      let out = Fenced(floats: 5)
      kernels.attention(
        query: [1, 2, 3, 4, 5], headDim: 5, kBlocks: nothing, vBlocks: nothing, type: .f32, first: first, last: last,
        scale: 1, out: out.floats)
      #expect(out.values == [0, 0, 0, 0, 0])
    }
  }

  @Test(arguments: levels)
  func nanIsNotHidden(_ kernels: Kernels) {
    var keys = [Float](repeating: 0, count: 70)
    keys[66] = .nan
    let out = attend(Case(kernels: kernels, type: .f32), [1], keys, [Float](repeating: 1, count: 70), 0, 69, 1)
    #expect(out[0].isNaN)
  }
}
