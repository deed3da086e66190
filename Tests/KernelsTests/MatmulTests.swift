import Kernels
import TestSupport
import Testing

@Suite struct MatmulTests {
  private static let widths = [1, 2, 15, 16, 17, 31, 32, 33, 48, 100, 127, 128, 129, 257]

  /// What a level makes of a token before it multiplies.
  private func rounded(_ x: [Float], _ test: PanelCase) -> [Float] {
    switch test.format {
    case .f32, .f16: return x
    case .bf16: return test.kernels.instructionSet == .avx512bf16 ? ElementType.bf16.round(x) : x
    case .q8_0, .q4_0, .q8_128:
      return stride(from: 0, to: x.count, by: test.format.blockLength).flatMap { start -> [Float] in
        let block = x[start..<min(start + test.format.blockLength, x.count)]
        let most = block.reduce(0) { max($0, abs($1)) }
        guard most > 0 else { return block.map { _ in 0 } }
        return block.map { ($0 * (127 / most)).rounded(.toNearestOrEven) * (most / 127) }
      }
    }
  }

  @Test(arguments: PanelCase.all)
  func agreesWithScalarReferenceAtAwkwardSizes(_ test: PanelCase) {
    var random = SplitMix(seed: 1)
    for k in Self.widths {
      for (m, n) in [(1, 1), (2, 16), (3, 17), (5, 31), (13, 33), (29, 50)] {
        let x = random.floats(m * k)
        let matrix = PackedMatrix(test, random.floats(n * k), rows: n, columns: k)
        let w = (0..<n).map { matrix.row($0) }
        let tokens = (0..<m).map { rounded(Array(x[$0 * k..<($0 + 1) * k]), test) }
        for usesScratch in [false, true] {
          let y = matrix.multiply(x, groups: TokenGroups(tokens: m), count: m, usesScratch: usesScratch)
          for i in 0..<m {
            for j in 0..<n {
              let products = (0..<k).map { Double(tokens[i][$0]) * Double(w[j][$0]) }
              let bound = (Double(k) + 8) * 0x1p-23 * products.reduce(1e-6) { $0 + abs($1) }
              #expect(abs(Double(y[i * n + j]) - products.reduce(0, +)) <= bound, "\(m)x\(n)x\(k) at \(i), \(j)")
            }
          }
        }
      }
    }
  }

  /// The contract that batches, prompts and threads may be cut in any way.
  @Test(arguments: PanelCase.all)
  func aTokensBitsDependOnNoOtherTokenOrRow(_ test: PanelCase) {
    var random = SplitMix(seed: 2)
    for (n, k) in [(37, 211), (64, 96), (16, 130)] {
      let count = 40
      let x = random.floats(count * k)
      let values = random.floats(n * k)
      let matrix = PackedMatrix(test, values, rows: n, columns: k)
      let alone = (0..<count).flatMap { token in
        matrix.multiply(Array(x[token * k..<(token + 1) * k]), groups: TokenGroups(tokens: 1), count: 1)
      }
      for m in 1...count {
        for usesScratch in [false, true] {
          let together = matrix.multiply(
            Array(x[..<(m * k)]), groups: TokenGroups(tokens: m), count: m, usesScratch: usesScratch)
          #expect(sameBits(together, alone[..<(m * n)]), "\(m) tokens")
        }
      }
      // The first 20 rows are a matrix of their own.
      let part = PackedMatrix(test, Array(values[..<(min(n, 20) * k)]), rows: min(n, 20), columns: k)
      let some = part.multiply(Array(x[..<(3 * k)]), groups: TokenGroups(tokens: 3), count: 3)
      for token in 0..<3 {
        #expect(sameBits(some[token * part.rows..<(token + 1) * part.rows], alone[token * n..<token * n + part.rows]))
      }
    }
  }

  @Test(arguments: PanelCase.all)
  func sumsStartFromABiasOrFromWhatIsThere(_ test: PanelCase) {
    var random = SplitMix(seed: 3)
    let (m, n, k) = (7, 45, 64)
    let x = random.floats(m * k)
    let matrix = PackedMatrix(test, random.floats(n * k), rows: n, columns: k)
    let groups = TokenGroups(tokens: m)
    let plain = matrix.multiply(x, groups: groups, count: m)
    let bias = random.floats(n)
    let there = random.floats(m * n)
    let biased = matrix.multiply(x, groups: groups, count: m, start: bias)
    let added = matrix.multiply(x, groups: groups, count: m, start: there, startStride: n)
    for index in plain.indices {
      #expect(abs(biased[index] - plain[index] - bias[index % n]) < 1e-4)
      #expect(abs(added[index] - plain[index] - there[index]) < 1e-4)
    }
  }

  /// Adapted tokens come first; what an adapter adds shows in no other token.
  @Test(arguments: PanelCase.all)
  func anAdapterContinuesTheSumsOfItsTokensAlone(_ test: PanelCase) {
    var random = SplitMix(seed: 4)
    let (n, k, rank) = (50, 96, 5)
    let matrix = PackedMatrix(test, random.floats(n * k), rows: n, columns: k)
    let up = PackedMatrix(
      PanelCase(kernels: test.kernels, format: test.format.ofAdapters), random.floats(n * rank), rows: n,
      columns: rank)
    let u = (0..<n).map { up.row($0) }
    for (m, adapted) in [(1, 1), (9, 4), (20, 13), (16, 16), (30, 1)] {
      let (x, ranks) = (random.floats(m * k), ElementType.bf16.round(random.floats(m * rank)))
      let plain = matrix.multiply(x, groups: TokenGroups(tokens: m), count: m)
      let both = matrix.multiply(
        x, groups: TokenGroups(tokens: m, adaptedTokens: adapted), count: m, adapter: (up, ranks))
      #expect(sameBits(both[(adapted * n)...], plain[(adapted * n)...]))
      for token in 0..<adapted {
        for row in 0..<n {
          let sum = (0..<rank).reduce(0) { $0 + Double(ranks[token * rank + $1]) * Double(u[row][$1]) }
          #expect(abs(Double(both[token * n + row]) - Double(plain[token * n + row]) - sum) < 1e-4)
        }
      }
    }
  }

  /// Integer sums of blocks that are as great as they get, of both signs: some levels add them up in 16 bits.
  @Test(arguments: PanelCase.all)
  func theGreatestSumsOfABlockFit(_ test: PanelCase) {
    let (m, k) = (12, 256)
    // The first column's −1 makes 0.875 the greatest positive four-bit number.
    let rows = [[Float](repeating: 1, count: k), [Float](repeating: -1, count: k)].map { row in
      row.enumerated().map { $0.offset % 32 == 0 ? -1 : $0.element * 0.875 }
    }
    let matrix = PackedMatrix(test, rows.flatMap { $0 }, rows: 2, columns: k)
    let x = (0..<m).flatMap { [Float](repeating: $0 % 2 == 0 ? 1 : -1, count: k) }
    let y = matrix.multiply(x, groups: TokenGroups(tokens: m), count: m)
    for token in 0..<m {
      for row in 0..<2 {
        let sum = matrix.row(row).reduce(0, +) * (token % 2 == 0 ? 1 : -1)
        #expect(abs(y[token * 2 + row] - sum) < 1e-4 * abs(sum), "token \(token), row \(row)")
      }
    }
  }

  @Test(arguments: PanelCase.all)
  func nanStaysInItsRowAndColumn(_ test: PanelCase) {
    let (m, n, k) = (15, 40, 64)
    var x = [Float](repeating: 1, count: m * k)
    var w = [Float](repeating: 1, count: n * k)
    x[2 * k + 19] = .nan
    w[3 * k] = .infinity
    let y = PackedMatrix(test, w, rows: n, columns: k).multiply(x, groups: TokenGroups(tokens: m), count: m)
    for (index, value) in y.enumerated() {
      if index / n == 2 {
        #expect(value.isNaN)
      } else if index % n == 3 {
        #expect(!value.isFinite)
      } else {
        #expect(abs(value - 64) < 0.1)
      }
    }
  }

  @Test func groupsHoldEveryTokenOnceAndAdaptedOnesApart() {
    for tokens in 0...60 {
      for adapted in [0, 1, 5, 12, tokens] where adapted <= tokens {
        let groups = TokenGroups(tokens: tokens, adaptedTokens: adapted)
        let ranges = (0..<groups.count).map { groups.tokens($0) }
        #expect(ranges.flatMap { Array($0) } == Array(0..<tokens))
        #expect(ranges.allSatisfy { $0.upperBound <= adapted || $0.lowerBound >= adapted })
        #expect(groups.places <= TokenGroups.places(tokens: tokens))
        #expect((0..<groups.adapted.count).flatMap { Array(groups.adapted.tokens($0)) } == Array(0..<adapted))
      }
    }
  }
}
