/// A preference that the soup's maker named.
public struct Preset: Sendable, Equatable {
  public let name: String
  /// As written, one value for each objective; resolved like any other.
  public let preference: [Double]
}
