import Glibc
import Testing

@testable import Transformer

@Suite struct RotaryEmbeddingTests {
  private func angles(_ rotary: RotaryEmbedding, _ position: Int) -> (cosine: [Float], sine: [Float]) {
    let half = rotary.headSize / 2
    var cosine = [Float](repeating: 9, count: half)
    var sine = [Float](repeating: 9, count: half)
    cosine.withUnsafeMutableBufferPointer { cosine in
      sine.withUnsafeMutableBufferPointer { sine in
        if let c = cosine.baseAddress, let s = sine.baseAddress {
          rotary.angles(position: position, cosine: c, sine: s)
        }
      }
    }
    return (cosine, sine)
  }

  @Test(arguments: [0, 1, 63, 64, 4095, 131_071])
  func anglesArePositionTimesFrequency(_ position: Int) {
    let rotary = RotaryEmbedding(headSize: 64, theta: 10_000, scaling: .none)
    let (cosine, sine) = angles(rotary, position)
    for pair in 0..<32 {
      let frequency = pow(10_000, -Double(pair) / 32)
      #expect((Double(rotary.frequencies[pair]) / frequency - 1).magnitude < 3e-7)
      // The angle is rounded to f32, as in transformers.
      let angle = Double(Float(position) * rotary.frequencies[pair])
      #expect(
        (Double(cosine[pair]) - cos(angle)).magnitude < 1e-7 && (Double(sine[pair]) - sin(angle)).magnitude < 1e-7)
    }
  }

  @Test func positionZeroTurnsNothing() {
    let (cosine, sine) = angles(RotaryEmbedding(headSize: 8, theta: 500, scaling: .none), 0)
    #expect(cosine == [1, 1, 1, 1] && sine == [0, 0, 0, 0])
  }

  @Test func linearScalingDividesEveryFrequency() {
    let plain = RotaryEmbedding(headSize: 16, theta: 10_000, scaling: .none).frequencies
    let scaled = RotaryEmbedding(headSize: 16, theta: 10_000, scaling: .linear(factor: 4)).frequencies
    #expect(scaled == plain.map { $0 / 4 })
  }

  @Test func llama3KeepsShortWavelengthsAndDividesLongOnes() {
    let plain = RotaryEmbedding(headSize: 64, theta: 500_000, scaling: .none).frequencies
    let scaled = RotaryEmbedding(
      headSize: 64, theta: 500_000,
      scaling: .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192)
    ).frequencies
    var kept = 0
    var divided = 0
    for (before, after) in zip(plain, scaled) {
      let wavelength = 2 * Double.pi / Double(before)
      if wavelength < 8192 / 4 {
        kept += 1
        #expect(after == before)
      } else if wavelength > 8192 {
        divided += 1
        #expect(after == before / 8)
      } else {
        #expect(after < before && after > before / 8)
      }
    }
    #expect(kept > 8 && divided > 8 && kept + divided < 32)
  }

  @Test(arguments: [1e-300, 1e-30, 1e14])
  func hostileBasesGiveNumbersOrNaNAndNothingElse(_ theta: Double) {
    for scaling in [RotaryEmbedding.Scaling.none, .linear(factor: 1e-300)] {
      let rotary = RotaryEmbedding(headSize: 8, theta: theta, scaling: scaling)
      for position in [0, 1, 1 << 24] {
        let (cosine, sine) = angles(rotary, position)
        #expect((cosine + sine).allSatisfy { $0.isNaN || $0.magnitude <= 1 })
      }
    }
  }
}
