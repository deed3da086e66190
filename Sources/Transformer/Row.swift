/// One position of one text in a step of the forward pass.
public struct Row {
  public let token: Int32
  public let position: Int
  /// Prepared for the position; holds the keys and values of all positions before it that are not in the same step.
  public let cache: KVCache
  /// What a live blend adds; nil is the weights alone.
  public let gains: LiveGains?
  /// Where the vocabulary's logits after this position go; nil: not wanted.
  public let logits: UnsafeMutablePointer<Float>?

  public init(
    token: Int32, position: Int, cache: KVCache, gains: LiveGains?, logits: UnsafeMutablePointer<Float>?
  ) {
    self.token = token
    self.position = position
    self.cache = cache
    self.gains = gains
    self.logits = logits
  }
}
