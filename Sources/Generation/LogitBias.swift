/// A number added to one token's logit.
public struct LogitBias: Sendable, Equatable {
  public var token: Int32
  /// −∞ forbids the token.
  public var bias: Float

  public init(token: Int32, bias: Float) {
    self.token = token
    self.bias = bias
  }
}
