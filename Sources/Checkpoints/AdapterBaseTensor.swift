/// A weight of the base that PEFT saved along with an adapter that targets embeddings.
///
/// It changes nothing where it equals the base's own; the reader of the adapter must compare.
public struct AdapterBaseTensor: Sendable {
  /// As the model names it: `model.embed_tokens` or `lm_head`.
  public let module: String
  public let weight: TensorView
}
