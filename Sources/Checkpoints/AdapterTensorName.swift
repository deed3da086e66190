/// What the name of a tensor in `adapter_model.safetensors` says.
///
/// `base_model.model.<module>.<part>`, where the part is `lora_A.weight` or `lora_B.weight`, for embeddings
/// `lora_embedding_A` or `lora_embedding_B`, each with the adapter's name after the first word where it was kept; or
/// weights of the base that PEFT saves along with adapted embeddings: `base_layer.weight`, `weight`.
struct AdapterTensorName {
  enum Part { case down, up, base }

  let module: String
  let part: Part
  let kind: AdapterModule.Kind

  /// nil for a name that is none of these.
  init?(_ name: String) {
    let prefix = "base_model.model."
    guard name.hasPrefix(prefix) else { return nil }
    let words = name.dropFirst(prefix.count).split(separator: ".", omittingEmptySubsequences: false)
    guard let place = words.lastIndex(where: { Self.marks.contains($0) }) ?? Self.embeddingWeight(words) else {
      return nil
    }
    let tail = words[(place + 1)...]
    switch words[place] {
    case "lora_A", "lora_B":
      guard tail.last == "weight", tail.count <= 2 else { return nil }
      part = words[place] == "lora_A" ? .down : .up
      kind = .linear
    case "lora_embedding_A", "lora_embedding_B":
      guard tail.count <= 1 else { return nil }
      part = words[place] == "lora_embedding_A" ? .down : .up
      kind = .embedding
    default:
      guard tail.isEmpty || Array(tail) == ["weight"] else { return nil }
      part = .base
      kind = .linear
    }
    module = words[..<place].joined(separator: ".")
    guard !module.isEmpty, !words.contains("") else { return nil }
  }

  private static let marks: [Substring] = ["lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "base_layer"]

  /// The place of `weight` in `…embed_tokens.weight` and `…lm_head.weight`.
  private static func embeddingWeight(_ words: [Substring]) -> Int? {
    guard words.count >= 2, words.last == "weight", ["embed_tokens", "lm_head"].contains(words[words.count - 2]) else {
      return nil
    }
    return words.count - 1
  }
}
