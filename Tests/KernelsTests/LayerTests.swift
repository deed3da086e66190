import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct LayerTests {
  @Test(arguments: levels)
  func rmsNormAgreesWithScalarReference(_ kernels: Kernels) {
    var random = SplitMix(seed: 5)
    for count in awkwardCounts + [4096] {
      let (x, weight) = (random.floats(count), random.floats(count))
      let squares = x.reduce(0.0) { $0 + Double($1) * Double($1) }
      let inverse = 1 / (squares / Double(max(count, 1)) + 1e-5).squareRoot()
      let (source, weights, y) = (Fenced(x), Fenced(weight), Fenced(floats: count))
      kernels.rmsNorm(x: source.floats, weight: weights.floats, epsilon: 1e-5, count: count, y: y.floats)
      for (index, value) in y.values.enumerated() {
        let expected = Double(x[index]) * inverse * Double(weight[index])
        #expect(abs(Double(value) - expected) <= 5e-7 * abs(expected))
      }
      kernels.rmsNorm(x: source.floats, weight: weights.floats, epsilon: 1e-5, count: count, y: source.floats)
      #expect(source.bits == y.bits)
    }
  }

  @Test(arguments: levels)
  func rotateTurnsPairsAndLeavesTheRest(_ kernels: Kernels) {
    var random = SplitMix(seed: 6)
    for (headCount, headDim, rotaryDim) in [(1, 2, 2), (3, 64, 64), (2, 80, 32), (4, 100, 100), (5, 34, 30), (2, 8, 0)]
    {
      let half = rotaryDim / 2
      let x = random.floats(headCount * headDim)
      let angles = random.floats(half).map { Double($0) * 3 }
      let (cosine, sine) = (angles.map { Float(cos($0)) }, angles.map { Float(sin($0)) })
      let (y, cosines, sines) = (Fenced(x), Fenced(cosine), Fenced(sine))
      kernels.rotate(
        x: y.floats, headCount: headCount, headDim: headDim, rotaryDim: rotaryDim, cosine: cosines.floats,
        sine: sines.floats)
      var expected = x
      for head in 0..<headCount {
        for i in 0..<half {
          let (a, b) = (x[head * headDim + i], x[head * headDim + i + half])
          expected[head * headDim + i] = a * cosine[i] - b * sine[i]
          expected[head * headDim + i + half] = b * cosine[i] + a * sine[i]
        }
      }
      #expect(y.values == expected)
    }
  }

  @Test(arguments: levels)
  func siluMultiplyAgreesWithScalarReference(_ kernels: Kernels) {
    var random = SplitMix(seed: 7)
    for count in awkwardCounts {
      let (gate, up) = (random.floats(count).map { $0 * 20 }, random.floats(count))
      let (gates, ups, out) = (Fenced(gate), Fenced(up), Fenced(floats: count))
      kernels.siluMultiply(gate: gates.floats, up: ups.floats, count: count, out: out.floats)
      for (index, value) in out.values.enumerated() {
        let expected = Double(gate[index]) / (1 + exp(-Double(gate[index]))) * Double(up[index])
        #expect(abs(Double(value) - expected) <= 6e-7 * abs(expected))
      }
      kernels.siluMultiply(gate: gates.floats, up: ups.floats, count: count, out: gates.floats)
      #expect(gates.bits == out.bits)
    }
    let out = Fenced(floats: 4)
    kernels.siluMultiply(gate: [-1000, 1000, -0.0, .nan], up: [2, 2, 2, 2], count: 4, out: out.floats)
    #expect(out.values.prefix(3) == [0, 2000, 0])
    #expect(out.values[3].isNaN)
  }

  @Test(arguments: levels)
  func addAdds(_ kernels: Kernels) {
    var random = SplitMix(seed: 8)
    for count in awkwardCounts {
      let (a, b) = (random.floats(count), random.floats(count))
      let (x, y) = (Fenced(a), Fenced(b))
      kernels.add(x: x.floats, y: y.floats, count: count)
      #expect(x.values == zip(a, b).map { $0 + $1 })
    }
  }

  /// An element's bits must not depend on where in a vector it stands.
  @Test(arguments: levels)
  func elementwiseKernelsTreatEveryLaneAlike(_ kernels: Kernels) {
    for count in 1...40 {
      let (gates, ups) = (Fenced([Float](repeating: 1.7, count: count)), Fenced([Float](repeating: 0.3, count: count)))
      let out = Fenced(floats: count)
      kernels.siluMultiply(gate: gates.floats, up: ups.floats, count: count, out: out.floats)
      #expect(Set(out.bits).count == 1)
      kernels.exponential(x: gates.floats, count: count, out: out.floats)
      #expect(Set(out.bits).count == 1)
    }
  }
}
