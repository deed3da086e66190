import Glibc
import Kernels

/// Rotary position embedding: pair i of a head turns by position · θ^(−2i/d), scaled as the configuration says.
///
/// Su et al., arXiv 2104.09864; the frequencies and angles are rounded to f32 where Hugging Face rounds them.
public struct RotaryEmbedding: Sendable, Equatable {
  public enum Scaling: Sendable, Equatable {
    case none
    /// All positions divided by the factor.
    case linear(factor: Double)
    /// Llama 3.1: long wavelengths divided by the factor, short ones kept, a smooth passage between.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Double)
  }

  public let headSize: Int
  /// f32 angles per position, one for each pair.
  let frequencies: [Float]

  public init(headSize: Int, theta: Double, scaling: Scaling) {
    self.headSize = headSize
    frequencies = (0..<headSize / 2).map { pair in
      let exponent = Float(2 * pair) / Float(headSize)
      let frequency = 1 / Float(pow(theta, Double(exponent)))
      return Self.scale(frequency, scaling)
    }
  }

  private static func scale(_ frequency: Float, _ scaling: Scaling) -> Float {
    switch scaling {
    case .none: return frequency
    case .linear(let factor): return frequency / Float(factor)
    case .llama3(let factor, let low, let high, let original):
      let wavelength = 2 * Float.pi / frequency
      if wavelength > Float(original / low) { return frequency / Float(factor) }
      if wavelength < Float(original / high) { return frequency }
      let smooth = (Float(original) / wavelength - Float(low)) / Float(high - low)
      return (1 - smooth) * (frequency / Float(factor)) + smooth * frequency
    }
  }

  /// Writes the cosines and sines of one position, [head size / 2] each.
  func angles(position: Int, cosine: UnsafeMutablePointer<Float>, sine: UnsafeMutablePointer<Float>) {
    for (pair, frequency) in frequencies.enumerated() {
      let angle = sineCosine(Double(Float(position) * frequency))
      cosine[pair] = Float(angle.cosine)
      sine[pair] = Float(angle.sine)
    }
  }
}
