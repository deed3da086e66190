public import Kernels

/// Which blend a host wants.
public struct BlendRequest: Sendable {
  /// Where on the simplex, or past it.
  public enum Point: Sendable {
    /// The soup's default preference; for a soup without objectives all coefficients 0.
    case defaults
    case named([(name: String, value: Double)])
    case preference([Double])
    case coefficients([Double])
    case preset(String)
  }

  public enum Kind: Sendable {
    /// Live where every backbone is low-rank, else folded.
    case automatic
    case folded
    case live
  }

  public var point = Point.defaults
  public var kind = Kind.automatic
  /// [backbone][layer] factors of λ, for a live blend; nil is all 1.
  public var layerMultipliers: [Float]?
  /// Of a folded blend; nil is the soup's.
  public var format: WeightFormat?
  /// Whether a fold goes on after the blend is given out.
  public var isInBackground = false
  /// How the weights are made; nil is the soup's way, a `.some(nil)` the plain sum.
  public var method: BlendMethod??

  public init() {}
}
