import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct SineCosineTests {
  @Test func agreesWithTheMathematicalLibrary() {
    var random = SplitMix(seed: 14)
    var points = [0, 0.5, 1, 1e6, 1e7, -1e7, 13_000_000]
    for index in 0..<2000 {
      let quarter = Double(index) * .pi / 4
      points += [quarter, quarter.nextUp, quarter * 4099]
    }
    for magnitude in [1e-9, 1e-3, 1, 10, 1000, 1e5, 1e7] {
      points += (0..<3000).map { _ in Double.random(in: -magnitude..<magnitude, using: &random) }
    }
    let wrong = points.filter { x in
      let (sine, cosine) = sineCosine(x)
      return abs(x) < 13e6 && !(abs(sine - sin(x)) < 3e-16 && abs(cosine - cos(x)) < 3e-16)
    }
    #expect(wrong == [])
  }

  @Test func knownValues() {
    #expect(sineCosine(0) == (0, 1))
    #expect(abs(sineCosine(1e6).sine - -0.349_993_502_171_292_96) < 2e-16)
    #expect(abs(sineCosine(1e6).cosine - 0.936_752_127_533_144_79) < 2e-16)
  }

  @Test func outOfRangeIsNotANumber() {
    for x in [Double.infinity, -.infinity, .nan, 1e8, -1e300] {
      #expect(sineCosine(x).sine.isNaN && sineCosine(x).cosine.isNaN)
    }
  }
}
