/// One layer that an adapter changes.
///
/// A linear layer's weight W [out × in] becomes W + c·scale·up·down, an embedding's E [vocabulary × hidden] becomes
/// E + c·scale·(up·down)ᵀ, where c is the adapter's coefficient.
public struct AdapterModule: Sendable {
  public enum Kind: Sendable { case linear, embedding }

  /// As the model names it: `model.layers.0.self_attn.q_proj`, `model.embed_tokens`, `lm_head`.
  public let name: String
  public let kind: Kind
  public let rank: Int
  /// α/r, or α/√r for rank-stabilised LoRA (arXiv 2312.03732).
  public let scale: Double
  /// D, [rank × in]; for an embedding [rank × vocabulary].
  public let down: TensorView
  /// U, [out × rank]; for an embedding [hidden × rank].
  public let up: TensorView
}
