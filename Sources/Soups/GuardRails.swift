import Platform

/// What a soup forbids: preferences outside the objectives' limits, and coefficients that stretch too far.
public struct GuardRails: Sendable, Equatable {
  /// What happens to a preference outside the limits. Coefficients above theirs are always rejected.
  public enum Policy: String, Sendable, CaseIterable {
    /// It is an error.
    case reject
    /// The nearest preference within the limits is used, and reported.
    case clamp
  }

  /// The largest |λᵢ| allowed, above 0; nil is no limit.
  public let maxAbsCoefficient: Double?
  public let onViolation: Policy

  /// No limit on coefficients; the objectives' limits reject.
  public static let none = GuardRails()

  private init() {
    maxAbsCoefficient = nil
    onViolation = .reject
  }

  /// Throws `.invalidArgument` unless the limit is above 0.
  public init(maxAbsCoefficient: Double?, onViolation: Policy) throws(BoneSoupError) {
    if let limit = maxAbsCoefficient, !(limit > 0 && limit.isFinite) {
      throw .invalidArgument("max_abs_coefficient is \(limit); it must be above 0")
    }
    self.maxAbsCoefficient = maxAbsCoefficient
    self.onViolation = onViolation
  }
}
