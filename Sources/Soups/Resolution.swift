public import Platform

/// The answer to a preference: how much of each backbone goes in.
public struct Resolution: Sendable, Equatable {
  /// The preference after adjustments; nil where coefficients were given.
  public let preference: [Double]?
  /// λ, one for each backbone.
  public let coefficients: [Double]
  /// c₀ = 1 − Σλ over the full backbones.
  public let baseShare: Double
  public let adjustments: PreferenceAdjustments

  /// - Parameter isFull: for each backbone whether it is a full checkpoint, whose coefficient takes from the base's share.
  init(
    preference: [Double]?, coefficients: [Double], adjustments: PreferenceAdjustments, guardRails: GuardRails,
    isFull: [Bool]
  ) throws(BoneSoupError) {
    guard isFull.count == coefficients.count else {
      throw .mismatch("there are \(coefficients.count) coefficients for \(isFull.count) backbones")
    }
    if let limit = guardRails.maxAbsCoefficient {
      let bound = limit + PreferenceSolver.rounding * max(1, limit)
      for (index, value) in coefficients.enumerated() where value.magnitude > bound {
        throw .guardRail(
          "the coefficient of backbone \(index) is \(value), above max_abs_coefficient \(limit) in size; "
            + "take a preference further from the vertices")
      }
    }
    var share = 1.0
    for (value, full) in zip(coefficients, isFull) where full { share -= value }
    self.preference = preference
    self.coefficients = coefficients
    self.adjustments = adjustments
    baseShare = share.magnitude <= BackboneMatrix.snapDistance ? 0 : share
  }

  /// Coefficients as they are: neither snapped nor normalised, but held against `max_abs_coefficient`.
  ///
  /// Throws `.mismatch` for a wrong length, `.invalidArgument` for a value that f32 cannot hold, `.guardRail`.
  public init(coefficients: [Double], guardRails: GuardRails, isFull: [Bool]) throws(BoneSoupError) {
    for (index, value) in coefficients.enumerated() where !Float(value).isFinite {
      throw .invalidArgument(
        "the coefficient of backbone \(index) is \(value); it must be a finite number that f32 holds")
    }
    try self.init(
      preference: nil, coefficients: coefficients, adjustments: [], guardRails: guardRails, isFull: isFull)
  }
}
