/// How much of each backbone a live blend adds, in each layer: the coefficients and their per-layer multipliers.
public final class LiveGains: Sendable {
  /// λ, one for each backbone.
  public let coefficients: [Double]
  /// [backbone][layer]; nil is all 1. Embedding, head and final norm are outside the layers and take λ itself.
  public let layerMultipliers: [Float]?
  private let layerCount: Int

  public init(coefficients: [Double], layerMultipliers: [Float]?, layerCount: Int) {
    self.coefficients = coefficients
    self.layerMultipliers = layerMultipliers
    self.layerCount = layerCount
  }

  /// λ of a backbone in a layer (nil: outside the layers).
  func gain(backbone: Int, layer: Int?) -> Double {
    let coefficient = backbone < coefficients.count ? coefficients[backbone] : 0
    guard let layer, let layerMultipliers else { return coefficient }
    return coefficient * Double(layerMultipliers[backbone * layerCount + layer])
  }
}
