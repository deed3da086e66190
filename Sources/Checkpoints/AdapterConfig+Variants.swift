import JSON
import Platform

extension AdapterConfig {
  /// Initialisations that leave the base as it is. The others subtract something from the base's weights before
  /// training, so that the saved matrices only fit that changed base.
  private static let plainInitialisations = ["gaussian", "eva", "orthogonal"]

  /// Members named like a variant of LoRA that concern training alone, or are read elsewhere.
  private static let harmlessVariants = [
    "use_rslora", "eva_config", "corda_config", "lora_ga_config", "loftq_config", "megatron_config", "runtime_config",
  ]

  /// Throws, by name, where the adapter is more than U·D on top of unchanged weights.
  static func refuseVariants(_ root: JSONValue) throws(BoneSoupError) {
    for key in [
      "modules_to_save", "layer_replication", "trainable_token_indices", "target_parameters", "alora_invocation_tokens",
    ] {
      if let value = try root.optionalMember(key), !isOff(value) {
        throw value.unsupported("is set, which is no low-rank change of a layer; " + remedy)
      }
    }
    for key in ["fan_in_fan_out", "lora_bias"] {
      if let value = try root.optionalMember(key), try value.bool {
        throw value.unsupported("is true, which is not supported; " + remedy)
      }
    }
    if let bias = try root.optionalMember("bias"), !bias.equals("none") {
      throw bias.unsupported("is \"\(try bias.text(maxBytes: 100))\", so the adapter changes biases; " + remedy)
    }
    if let start = try root.optionalMember("init_lora_weights"), start.kind != .bool {
      let name = try start.text(maxBytes: 100)
      guard plainInitialisations.contains(name) else {
        throw start.unsupported(
          "is \"\(name)\", which also changes the base's weights; save the adapter again with PEFT's "
            + "path_initial_model_for_weight_conversion, or " + remedy)
      }
    }
    // PEFT names its variants so; one that is newer than this code is refused as well.
    for member in try root.members where !isOff(member.value) {
      let key = try member.key.text(maxBytes: 1024)
      guard key.hasPrefix("use_") || key.hasSuffix("_config"), !harmlessVariants.contains(key) else { continue }
      throw member.value.unsupported("is set, a variant of LoRA that is not supported; " + remedy)
    }
  }

  private static let remedy =
    "merge the adapter into its base with PEFT's merge_and_unload and use the result as a full backbone"

  /// null, false, or empty.
  private static func isOff(_ value: JSONValue) -> Bool {
    switch value.kind {
    case .null: true
    case .bool: (try? value.bool) == false
    case .array, .object: value.count == 0
    case .string: value.rawBytes.isEmpty
    case .number: false
    }
  }
}
