/// What was done to a preference before it was used.
public struct PreferenceAdjustments: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Its sum was not 1, and it was divided by it.
  public static let renormalized = PreferenceAdjustments(rawValue: 1 << 0)
  /// It was outside the objectives' limits, and the nearest one within was taken.
  public static let clamped = PreferenceAdjustments(rawValue: 1 << 1)
}
