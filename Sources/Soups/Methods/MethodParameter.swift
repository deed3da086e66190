/// A number that a merge method takes, by mergekit's name.
public struct MethodParameter: Sendable, Equatable {
  public enum Kind: UInt32, Sendable {
    case number = 0
    /// 0 or 1.
    case flag = 1
  }

  public enum Scope: UInt32, Sendable {
    /// One value for a tensor.
    case shared = 0
    /// One value for each model.
    case perModel = 1
  }

  public let name: String
  public let kind: Kind
  public let scope: Scope
  /// nil: it has to be given.
  public let defaultValue: Double?
  public let range: ClosedRange<Double>
  public let summary: String

  public init(
    _ name: String, _ kind: Kind = .number, _ scope: Scope = .shared, default defaultValue: Double?,
    range: ClosedRange<Double> = -1e6...1e6, _ summary: String
  ) {
    self.name = name
    self.kind = kind
    self.scope = scope
    self.defaultValue = defaultValue
    self.range = kind == .flag ? 0...1 : range
    self.summary = summary
  }

  // Those that several methods have.

  static let weight = MethodParameter("weight", .number, .perModel, default: nil, "how much of the model goes in")
  static let lambda = MethodParameter("lambda", default: 1, "factor of the merged task vector")
  static let int8Mask = MethodParameter("int8_mask", .flag, default: 0, "taken for mergekit's sake; changes nothing")

  static func normalize(_ value: Bool) -> MethodParameter {
    MethodParameter("normalize", .flag, default: value ? 1 : 0, "divide by the sum of the weights; never in a soup")
  }

  static func rescale(_ value: Bool) -> MethodParameter {
    MethodParameter(
      "rescale", .flag, default: value ? 1 : 0, "give what is kept the sum of magnitudes that there was before")
  }

  static let density = MethodParameter(
    "density", .number, .perModel, default: 1, range: 0...1, "share of the task vector that is kept")

  static let gamma = MethodParameter(
    "gamma", .number, .perModel, default: 0.01, range: 0...1, "share of the greatest magnitudes that is dropped")

  /// The weight of a method of task matrices, which has a default.
  static let factor = MethodParameter("weight", .number, .perModel, default: 1, "factor of the task vector")
  static let averages = MethodParameter(
    "normalize", .flag, default: 1, "what is no matrix of a layer is averaged; never in a soup")
}
