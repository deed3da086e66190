import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct SoftmaxTests {
  @Test(arguments: levels)
  func exponentialIsWithinTwoUnitsOfTheLastPlace(_ kernels: Kernels) {
    var random = SplitMix(seed: 9)
    var x = (0..<100_000).map { _ in Float.random(in: -87.3..<88.72, using: &random) }
    x += (0..<20_000).map { _ in Float.random(in: -1e-3..<1e-3, using: &random) }
    x += (0..<20_000).map { _ in Float.random(in: -104..<(-87), using: &random) }
    let out = Fenced(floats: x.count)
    kernels.exponential(x: x, count: x.count, out: out.floats)
    var worst = 0.0
    for (x, y) in zip(x, out.values) { worst = max(worst, ulps(y, exp(Double(x)))) }
    #expect(worst <= 2, "\(worst)")
  }

  @Test(arguments: levels)
  func exponentialOfTheEdges(_ kernels: Kernels) {
    let x: [Float] = [
      0, -0.0, .infinity, -.infinity, 88.722_83, 88.73, -103.97, -105, -1e30, 1e30, Float(bitPattern: 1), .nan,
    ]
    let out = Fenced(floats: x.count)
    kernels.exponential(x: x, count: x.count, out: out.floats)
    let y = out.values
    #expect(y[0] == 1 && y[1] == 1 && y[2] == .infinity && y[3] == 0)
    #expect(y[4].isFinite && y[5] == .infinity && y[6] == .leastNonzeroMagnitude && y[7] == 0)
    #expect(y[8] == 0 && y[9] == .infinity && y[10] == 1 && y[11].isNaN)
  }

  @Test(arguments: levels)
  func softmaxAgreesWithScalarReference(_ kernels: Kernels) {
    var random = SplitMix(seed: 10)
    for count in awkwardCounts.dropFirst() + [50_000] {
      let x = random.floats(count).map { $0 * 30 }
      let most = x.max() ?? 0
      let sum = x.reduce(0.0) { $0 + exp(Double($1) - Double(most)) }
      let (p, untouched) = (Fenced(x), Fenced(x))
      let logarithm = kernels.softmax(x: p.floats, count: count)
      #expect(ulps(logarithm, Double(most) + log(sum)) <= 1)
      #expect(kernels.logSumExp(x: untouched.floats, count: count) == logarithm)
      let worst = zip(x, p.values).map { x, p in
        let expected = exp(Double(x) - Double(most)) / sum
        return abs(Double(p) - expected) / expected
      }.max()
      #expect((worst ?? 0) <= 4e-6)
      #expect(abs(p.values.reduce(0.0) { $0 + Double($1) } - 1) < 1e-6)
    }
  }

  @Test(arguments: levels)
  func maskedAndHugeLogits(_ kernels: Kernels) {
    let x = Fenced([-.infinity, 1e30, -.infinity, 1e30, -1e30])
    #expect(kernels.softmax(x: x.floats, count: 5) == 1e30)
    #expect(x.values == [0, 0.5, 0, 0.5, 0])
    #expect(kernels.softmax(x: x.floats, count: 0) == -.infinity)
    #expect(kernels.logSumExp(x: x.floats, count: 0) == -.infinity)
    for bad in [[Float.nan, 1, 2], [.infinity, 1, 2], [-.infinity, -.infinity]] {
      let x = Fenced(bad)
      #expect(kernels.logSumExp(x: x.floats, count: bad.count).isNaN)
      #expect(kernels.softmax(x: x.floats, count: bad.count).isNaN)
      #expect(x.values.allSatisfy { $0.isNaN })
    }
  }

  @Test(arguments: levels)
  func weightsAgreeWithScalarReference(_ kernels: Kernels) {
    var random = SplitMix(seed: 11)
    for count in awkwardCounts.dropFirst() + [127, 128, 129, 2048, 50_001] {
      for temperature: Float in [1, 0.3, 2.5, .leastNonzeroMagnitude, .greatestFiniteMagnitude] {
        var x = random.floats(count).map { $0 * 10 }
        if count > 2 { x[count / 2] = -.infinity }
        let most = x.max() ?? 0
        let exponents = x.map { ($0 - most) / temperature }
        let expected = Fenced(floats: count)
        kernels.exponential(x: exponents, count: count, out: expected.floats)
        let out = Fenced(floats: count)
        let sumCount = Kernels.weightSums(count: count)
        let sums = Fenced(byteCount: 8 * sumCount)
        let running = sums.start.assumingMemoryBound(to: Double.self)
        let logarithm = kernels.weigh(
          x: x, count: count, temperature: temperature, out: out.floats, sums: running)
        #expect(out.values == expected.values)
        var total = 0.0
        for (index, weight) in out.values.enumerated() {
          total += Double(weight)
          guard index % Kernels.weightsOfSum == Kernels.weightsOfSum - 1 || index == count - 1 else { continue }
          let sum = running[index / Kernels.weightsOfSum]
          #expect(abs(sum - total) <= 1e-12 * total)
          #expect(index < Kernels.weightsOfSum || sum >= running[index / Kernels.weightsOfSum - 1])
        }
        #expect(ulps(logarithm, Double(most) + log(total)) <= 1)
        if temperature == 1 { #expect(kernels.logSumExp(x: x, count: count) == logarithm) }
      }
    }
  }

  @Test(arguments: levels)
  func weightsOfBrokenLogitsAreNotANumber(_ kernels: Kernels) {
    let (out, memory) = (Fenced(floats: 2), Fenced(byteCount: 8))
    let sums = memory.start.assumingMemoryBound(to: Double.self)
    for bad in [[Float.nan, 1], [.infinity, 1], [-.infinity, -.infinity]] {
      #expect(kernels.weigh(x: bad, count: 2, temperature: 1, out: out.floats, sums: sums).isNaN)
    }
    #expect(kernels.weigh(x: [1], count: 0, temperature: 1, out: out.floats, sums: sums) == -.infinity)
  }

  /// Sums of n equal terms make every mantissa of the logarithm pass by.
  @Test(arguments: levels)
  func logarithmIsExactToTheLastPlace(_ kernels: Kernels) {
    let zeros = [Float](repeating: 0, count: 3000)
    for count in 1...3000 { #expect(ulps(kernels.logSumExp(x: zeros, count: count), log(Double(count))) <= 0.5001) }
  }
}
