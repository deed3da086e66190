/// What a preference, or raw coefficients, come to.
public struct Resolution: Sendable, Equatable {
  /// μ as it was used, after adjustments; nil where coefficients were given.
  public let preference: [Double]?
  /// λ, one for each backbone.
  public let coefficients: [Double]
  /// c₀ = 1 − Σλᵢ over the full backbones, 0 where it is within `BackboneMatrix.snapDistance` of it.
  public let baseShare: Double
  public let adjustments: PreferenceAdjustments
}
