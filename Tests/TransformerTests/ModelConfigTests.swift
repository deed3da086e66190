import Checkpoints
import JSON
import Platform
import TestSupport
import Testing

@testable import Transformer

/// A config.json of a small Llama with some members changed (nil: left out); values are JSON.
private func config(_ changes: [String: String?] = [:], generation: String? = nil) throws(BoneSoupError) -> ModelConfig
{
  var members: [String: String] = [
    "model_type": "\"llama\"", "hidden_act": "\"silu\"", "vocab_size": "128", "hidden_size": "32",
    "num_hidden_layers": "3", "num_attention_heads": "4", "num_key_value_heads": "2", "intermediate_size": "48",
    "max_position_embeddings": "256", "rms_norm_eps": "1e-5", "tie_word_embeddings": "true",
  ]
  for (key, value) in changes { members[key] = value }
  let text = "{" + members.map { "\"\($0)\": \($1)" }.sorted().joined(separator: ", ") + "}"
  let document = try parse(text, "config.json")
  return try ModelConfig(
    document.root,
    generation: try generation.map { (text) throws(BoneSoupError) in
      try parse(text, "generation_config.json").root
    })
}

private func parse(_ text: String, _ file: String) throws(BoneSoupError) -> JSONDocument {
  let bytes = Array(text.utf8)
  let buffer = try Buffer(byteCount: bytes.count, allocator: .system, purpose: file)
  UnsafeMutableRawBufferPointer(start: buffer.pointer, count: bytes.count).copyBytes(from: bytes)
  return try JSONDocument(buffer.bytes, owner: buffer, file: file, maximumBytes: 1 << 20, allocator: .system)
}

@Suite struct ModelConfigTests {
  @Test func everyMemberIsRead() throws {
    let config = try config()
    #expect(config.modelType == "llama" && config.vocabularySize == 128 && config.hiddenSize == 32)
    #expect(config.layerCount == 3 && config.headCount == 4 && config.keyValueHeadCount == 2)
    #expect(config.headSize == 8 && config.intermediateSize == 48 && config.contextLength == 256)
    #expect(config.normEpsilon == 1e-5 && config.tiesEmbeddings && config.endTokens.isEmpty)
    #expect(!config.hasQueryKeyValueBias && !config.hasOutputBias && !config.hasFeedForwardBias)
    #expect(!config.normalizesQueryAndKey && config.slidingWindow(layer: 2) == nil)
    #expect(config.rotary == RotaryEmbedding(headSize: 8, theta: 10_000, scaling: .none))
  }

  @Test func absentMembersHaveTransformersDefaults() throws {
    let config = try config([
      "hidden_act": nil, "num_key_value_heads": nil, "max_position_embeddings": nil, "rms_norm_eps": nil,
      "tie_word_embeddings": nil,
    ])
    #expect(config.keyValueHeadCount == 4 && config.contextLength == 2048 && config.normEpsilon == 1e-6)
    #expect(!config.tiesEmbeddings)
    #expect(try self.context(of: "mistral") == 131_072)
    #expect(try self.context(of: "qwen2") == 32_768)
    #expect(try self.context(of: "qwen3") == 32_768)
  }

  private func context(of type: String) throws -> Int {
    try config(["model_type": "\"\(type)\"", "max_position_embeddings": nil]).contextLength
  }

  @Test func biasesAndNormsFollowTheArchitecture() throws {
    let llama = try config(["attention_bias": "true", "mlp_bias": "true"])
    #expect(llama.hasQueryKeyValueBias && llama.hasOutputBias && llama.hasFeedForwardBias)
    let qwen2 = try config(["model_type": "\"qwen2\""])
    #expect(qwen2.hasQueryKeyValueBias && !qwen2.hasOutputBias && !qwen2.normalizesQueryAndKey)
    let qwen3 = try config(["model_type": "\"qwen3\"", "attention_bias": "true", "mlp_bias": "true"])
    #expect(qwen3.hasQueryKeyValueBias && qwen3.hasOutputBias && !qwen3.hasFeedForwardBias)
    #expect(qwen3.normalizesQueryAndKey)
    let mistral = try config(["model_type": "\"mistral\"", "attention_bias": "true"])
    #expect(!mistral.hasQueryKeyValueBias && !mistral.hasOutputBias)
  }

  @Test func bothSpellingsOfTheRopeAreRead() throws {
    let scaled = #""factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32"#
    let old = try config(["rope_theta": "500", "rope_scaling": #"{"rope_type": "llama3", \#(scaled)}"#])
    let older = try config(["rope_theta": "500", "rope_scaling": #"{"type": "llama3", \#(scaled)}"#])
    let new = try config(["rope_parameters": #"{"rope_theta": 500, "rope_type": "llama3", \#(scaled)}"#])
    let expected = RotaryEmbedding(
      headSize: 8, theta: 500,
      scaling: .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 32))
    #expect(old.rotary == expected && older.rotary == expected && new.rotary == expected)
    let linear = try config(["rope_scaling": #"{"type": "linear", "factor": 4}"#])
    #expect(linear.rotary == RotaryEmbedding(headSize: 8, theta: 10_000, scaling: .linear(factor: 4)))
    let plain = try config(["rope_parameters": #"{"rope_theta": 1e6, "rope_type": "default"}"#, "rope_scaling": "null"])
    #expect(plain.rotary == RotaryEmbedding(headSize: 8, theta: 1e6, scaling: .none))
  }

  @Test func endTokensComeFromBothFilesOnce() throws {
    #expect(try config(["eos_token_id": "5"]).endTokens == [5])
    #expect(try config(["eos_token_id": "[5, 7, 5]"], generation: #"{"eos_token_id": [7, 9]}"#).endTokens == [5, 7, 9])
    #expect(try config(["eos_token_id": "null"], generation: #"{"eos_token_id": 3}"#).endTokens == [3])
    #expect(try config(generation: "{}").endTokens.isEmpty)
  }

  @Test func windowsFollowLayerTypesOrTheArchitecturesRule() throws {
    func windows(_ changes: [String: String?]) throws -> [Int?] {
      let config = try config(changes)
      return (0..<3).map { config.slidingWindow(layer: $0) }
    }
    let types = #"["sliding_attention", "full_attention", "sliding_attention"]"#
    #expect(try windows(["model_type": "\"mistral\"", "sliding_window": "16"]) == [16, 16, 16])
    #expect(try windows(["model_type": "\"mistral\"", "sliding_window": "null"]) == [nil, nil, nil])
    #expect(try windows(["sliding_window": "16"]) == [nil, nil, nil])
    let qwen: [String: String?] = ["model_type": "\"qwen2\"", "sliding_window": "16", "max_window_layers": "1"]
    #expect(try windows(qwen) == [nil, nil, nil])
    #expect(try windows(qwen.merging(["use_sliding_window": "true"]) { $1 }) == [nil, 16, 16])
    #expect(
      try windows(qwen.merging(["use_sliding_window": "true", "layer_types": types]) { $1 }) == [16, nil, 16])
    #expect(
      try windows(qwen.merging(["use_sliding_window": "true", "max_window_layers": nil]) { $1 }) == [nil, nil, nil])
  }

  @Test(
    arguments: [
      (
        ["model_type": #""gemma2""#],
        "unsupported: config.json: model_type \"gemma2\" is not supported; supported are llama, mistral, qwen2, qwen3"
      ),
      (["model_type": nil], "model_type"), (["model_type": "7"], "model_type"),
      (["hidden_act": #""gelu""#], "unsupported: config.json: hidden_act \"gelu\" is not supported"),
      (["quantization_config": "{}"], "unsupported: config.json: quantization_config says"),
      (
        ["rope_scaling": #"{"rope_type": "yarn", "factor": 4}"#],
        "unsupported: config.json: rope_scaling has the rope type \"yarn\""
      ),
      (["rope_parameters": #"{"rope_type": "dynamic"}"#], "rope_parameters has the rope type \"dynamic\""),
      (["rope_scaling": #"{"rope_type": "linear"}"#], "factor"),
      (["rope_scaling": #"{"rope_type": "linear", "factor": 0}"#], "rope_scaling.factor is 0.0"),
      (["rope_scaling": #"{"rope_type": "linear", "factor": -2}"#], "rope_scaling.factor is -2.0"),
      (
        [
          "rope_scaling":
            #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 32}"#
        ], "is not above its low_freq_factor"
      ),
      (["rope_theta": "0"], "rope_theta of 0.0"), (["rope_theta": "-1"], "rope_theta of -1.0"),
      (["rope_theta": "1e30"], "rope_theta of 1e+30"), (["rope_theta": "\"big\""], "rope_theta"),
      (["partial_rotary_factor": "0.5"], "unsupported: config.json: the document has a partial_rotary_factor of 0.5"),
      (["rope_parameters": #"{"partial_rotary_factor": 0.25}"#], "partial_rotary_factor of 0.25"),
      (["num_attention_heads": "5", "num_key_value_heads": nil], "hidden_size 32 does not divide into 5 heads"),
      (
        ["num_attention_heads": "4", "num_key_value_heads": "3"],
        "num_key_value_heads is 3, which 4 attention heads cannot share"
      ),
      (["head_dim": "7"], "heads of an odd size, 7"), (["head_dim": "0"], "head_dim"),
      (["head_dim": "4096"], "head_dim"),
      (["vocab_size": "0"], "vocab_size"), (["vocab_size": "-1"], "vocab_size"), (["vocab_size": "1e9"], "vocab_size"),
      (["vocab_size": "9223372036854775808"], "vocab_size"), (["vocab_size": "12.5"], "vocab_size"),
      (["vocab_size": nil], "vocab_size"), (["hidden_size": "9223372036854775807"], "hidden_size"),
      (["hidden_size": "0"], "hidden_size"), (["num_hidden_layers": "100000"], "num_hidden_layers"),
      (["num_hidden_layers": "0"], "num_hidden_layers"), (["num_attention_heads": "0"], "num_attention_heads"),
      (["num_key_value_heads": "0"], "num_key_value_heads"), (["intermediate_size": "-5"], "intermediate_size"),
      (["max_position_embeddings": "0"], "max_position_embeddings"),
      (["max_position_embeddings": "1e18"], "max_position_embeddings"),
      (["rms_norm_eps": "-1e-6"], "rms_norm_eps"), (["rms_norm_eps": "1"], "rms_norm_eps"),
      (["eos_token_id": "-1"], "eos_token_id"), (["eos_token_id": "[1, 4294967296]"], "eos_token_id"),
      (["eos_token_id": "\"</s>\""], "eos_token_id"), (["tie_word_embeddings": "1"], "tie_word_embeddings"),
      (["model_type": #""mistral""#, "sliding_window": "0"], "sliding_window"),
      (
        ["model_type": #""mistral""#, "sliding_window": "4", "layer_types": "[]"],
        "layer_types has 0 entries for 3 layers"
      ),
      (
        [
          "model_type": #""mistral""#, "sliding_window": "4",
          "layer_types": #"["full_attention", "chunked_attention", "full_attention"]"#,
        ], "layer_types[1] \"chunked_attention\" is not supported"
      ),
    ] as [([String: String?], String)])
  func whatCannotBeComputedIsRefusedByName(_ changes: [String: String?], _ message: String) {
    let text = failure { try config(changes) }
    #expect(text.contains(message), "\(changes): \(text)")
  }

  @Test func moreEndTokensThanAnybodyNeedsAreRefused() {
    let many = "[" + (0..<257).map(String.init).joined(separator: ",") + "]"
    #expect(failure { try config(["eos_token_id": many]) }.contains("more than 256 end tokens"))
  }

  @Test func sizesAtTheirLimitsDoNotOverflow() throws {
    let config = try config([
      "vocab_size": "4194304", "hidden_size": "1048576", "intermediate_size": "1048576", "num_hidden_layers": "1024",
      "num_attention_heads": "4096", "num_key_value_heads": "4096", "head_dim": "1024",
    ])
    #expect(config.parameterCount > 1 << 50)
    try #expect(KVLayout(config, type: .f32).blockBytes == 1024 * 2 * 4096 * 64 * 1024 * 4)
  }

  @Test func theParametersAreTheFilesTensors() throws {
    for name in Fixtures.models where name != "llama2-sharded" {
      let folder = try FileProvider(folder: Fixtures.model(name))
      let config = try ModelConfig(
        folder.json("config.json", maximumBytes: 1 << 20, allocator: .system).root, generation: nil)
      let checkpoint = try Checkpoint(folder: folder, allocator: .system)
      let parameters = config.parameters
      #expect(checkpoint.count == parameters.count, "\(name)")
      for parameter in parameters {
        let tensor = try checkpoint.tensor(of: parameter)
        #expect(tensor.shape == parameter.shape && parameter.isMatrix == (tensor.shape.count == 2), "\(parameter.name)")
      }
      #expect(config.parameterCount == parameters.reduce(0) { $0 + $1.elementCount })
      #expect(Set(parameters.map(\.role)).count == parameters.count)
    }
  }

  @Test func aTensorThatTheModelHasNoUseForIsRefused() throws {
    let folder = try TemporaryFolder()
    var builder = SafetensorsBuilder()
    for parameter in try config().parameters { builder.add(parameter.name, shape: parameter.shape) }
    var plain = builder
    plain.add("model.layers.0.self_attn.rotary_emb.inv_freq", shape: [4])
    try folder.write("model.safetensors", plain.bytes)
    let files = try FileProvider(folder: folder.path)
    try Checkpoint(folder: files, allocator: .system).refuseUnknownTensors(try config())
    builder.add("model.layers.0.self_attn.q_proj.bias", shape: [32])
    try folder.write("model.safetensors", builder.bytes)
    let text = failure { try Checkpoint(folder: files, allocator: .system).refuseUnknownTensors(try config()) }
    #expect(text.contains("q_proj.bias is not part of a llama model as config.json describes it"))
  }

  @Test func aTiedEmbeddingMayBearTheHeadsName() throws {
    let folder = try TemporaryFolder()
    let config = try config()
    var builder = SafetensorsBuilder()
    for parameter in config.parameters {
      builder.add(parameter.role == .embedding ? "lm_head.weight" : parameter.name, shape: parameter.shape)
    }
    try folder.write("model.safetensors", builder.bytes)
    let checkpoint = try Checkpoint(folder: FileProvider(folder: folder.path), allocator: .system)
    try checkpoint.refuseUnknownTensors(config)
    #expect(try checkpoint.tensor(of: config.parameters[0]).name == "lm_head.weight")
  }

  @Test func missingTensorsAndWrongShapesAreNamed() throws {
    let folder = try TemporaryFolder()
    let config = try config()
    func load(_ change: (inout SafetensorsBuilder, Parameter) -> Void) throws {
      var builder = SafetensorsBuilder()
      for parameter in config.parameters { change(&builder, parameter) }
      try folder.write("model.safetensors", builder.bytes)
      let engine = Engine(pool: ThreadPool(threadCount: 1), allocator: .system)
      let checkpoint = try Checkpoint(folder: FileProvider(folder: folder.path), allocator: .system)
      _ = try ModelWeights.load(config, from: checkpoint, format: .f32, engine: engine, monitor: .none)
    }
    try load { $0.add($1.name, shape: $1.shape) }
    let missing = failure { try load { if $1.role != .finalNorm { $0.add($1.name, shape: $1.shape) } } }
    #expect(
      missing.hasPrefix("notFound: ")
        && missing.contains("the tensor model.norm.weight is missing; one of the shape [32]"))
    let wrong = failure { try load { $0.add($1.name, shape: $1.role == .finalNorm ? [31] : $1.shape) } }
    #expect(wrong.hasPrefix("mismatch: ") && wrong.contains("model.norm.weight has the shape [31]; [32] is needed"))
  }
}
