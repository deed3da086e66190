/// A token and how probable the model found it.
public struct TokenProbability: Sendable, Equatable, BitwiseCopyable {
  public var token: Int32
  /// Natural logarithm, from the logits as they were given: before bias, penalties, temperature and filters.
  public var logProbability: Float

  public init(token: Int32, logProbability: Float) {
    self.token = token
    self.logProbability = logProbability
  }
}

/// What a `Sampler` chose.
public struct SampledToken: Sendable, Equatable {
  public var chosen: TokenProbability
  /// The model's most probable tokens, most probable first, as many as the options ask for; fewer where fewer have a
  /// probability.
  public var top: [TokenProbability]
}
