/// What a merge method is called, takes and does.
public struct MethodDeclaration: Sendable {
  /// What the base is to it.
  public enum Base: UInt32, Sendable {
    /// Not used; a base that is among the models is one of them.
    case unused = 0
    case optional = 1
    case required = 2
  }

  /// What a negative weight (in a soup: λ) does.
  public enum Negative: UInt32, Sendable {
    /// The method has no weights.
    case ignored = 0
    /// The sign goes into the task vector: λΔ is what is trimmed, elected, decomposed and summed.
    case signed = 1
    /// The weight is a plain factor of the model.
    case factor = 2
  }

  public let name: String
  public let summary: String
  public let parameters: [MethodParameter]
  public let base: Base
  /// How many models besides the base.
  public let models: ClosedRange<Int>
  public let negative: Negative
  /// Whether a soup can be blended by it: it uses λ, and takes any number of backbones.
  public let isForSoups: Bool
  /// Whether it draws random numbers, which a seed decides.
  public let isRandom: Bool

  /// The most models of any merge.
  public static let modelLimit = 64

  init(
    _ name: String, _ summary: String, base: Base, models: ClosedRange<Int> = 1...MethodDeclaration.modelLimit,
    negative: Negative, isForSoups: Bool = false, isRandom: Bool = false, _ parameters: [MethodParameter]
  ) {
    self.name = name
    self.summary = summary
    self.parameters = parameters
    self.base = base
    self.models = models
    self.negative = negative
    self.isForSoups = isForSoups
    self.isRandom = isRandom
  }

  func parameter(_ name: String) -> MethodParameter? { parameters.first { $0.name == name } }
}
