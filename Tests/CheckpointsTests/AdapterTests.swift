import Checkpoints
import Platform
import TestSupport
import Testing

@Suite struct AdapterTests {
  private static let prefix = "base_model.model.model.layers.0."

  private static func tensors(_ list: [(String, [Int])]) -> [UInt8] {
    var builder = SafetensorsBuilder()
    for (name, shape) in list { builder.add(name, shape: shape, filledWith: 1) }
    return builder.bytes
  }

  private static let pair = tensors([
    (prefix + "self_attn.q_proj.lora_A.weight", [2, 6]), (prefix + "self_attn.q_proj.lora_B.weight", [4, 2]),
  ])

  private static func config(_ more: String = "", rank: String = "2") -> [UInt8] {
    Array("{\"peft_type\":\"LORA\",\"r\":\(rank),\"lora_alpha\":8\(more.isEmpty ? "" : ",")\(more)}".utf8)
  }

  private static func open(_ tensors: [UInt8] = pair, config: [UInt8] = config()) throws(BoneSoupError) -> Adapter {
    let files = try memoryFiles(
      [("adapter_config.json", config), ("adapter_model.safetensors", tensors)], mode: .copy)
    return try Adapter(folder: files, allocator: .system)
  }

  @Test func modulesAreRead() throws {
    let adapter = try Self.open()
    let module = try #require(adapter.modules.first)
    #expect(adapter.modules.count == 1 && module.name == "model.layers.0.self_attn.q_proj" && module.kind == .linear)
    #expect(module.rank == 2 && module.scale == 4 && module.down.shape == [2, 6] && module.up.shape == [4, 2])
    #expect(!adapter.ensuresWeightTying && adapter.baseTensors.isEmpty)
  }

  @Test func embeddingsAdapterNamesAndBaseWeightsAreRead() throws {
    let adapter = try Self.open(
      Self.tensors([
        ("base_model.model.model.embed_tokens.lora_embedding_A", [2, 10]),
        ("base_model.model.model.embed_tokens.lora_embedding_B", [6, 2]),
        ("base_model.model.model.embed_tokens.base_layer.weight", [10, 6]),
        ("base_model.model.lm_head.weight", [10, 6]),
        ("base_model.model.model.norm.lora_embedding_A.default", [2, 9]),
        ("base_model.model.model.norm.lora_embedding_B.default", [9, 2]),
        ("base_model.model.lm_head.lora_A.my_adapter.weight", [2, 6]),
        ("base_model.model.lm_head.lora_B.my_adapter.weight", [10, 2]),
      ]), config: Self.config("\"ensure_weight_tying\":true"))
    #expect(adapter.modules.map(\.name) == ["lm_head", "model.embed_tokens", "model.norm"])
    #expect(adapter.modules.map(\.kind) == [.linear, .embedding, .embedding] && adapter.ensuresWeightTying)
    #expect(adapter.baseTensors.map(\.module) == ["lm_head", "model.embed_tokens"])
    #expect(adapter.baseTensors[1].weight.shape == [10, 6])
  }

  @Test(
    arguments: [
      ("", 4), (#""use_rslora":true"#, 8 / 2.0.squareRoot()), (#""alpha_pattern":{"q_proj":3}"#, 1.5),
      (#""alpha_pattern":{"q_proj":3,"self_attn.q_proj":5}"#, 1.5), (#""alpha_pattern":{"proj":3}"#, 4),
      (#""alpha_pattern":{"attn.q_proj":3}"#, 4), (#""alpha_pattern":{"layers.0.self_attn.q_proj":3}"#, 1.5),
      (#""alpha_pattern":{"^model.layers.0.self_attn.q_proj":3}"#, 1.5),
      (#""alpha_pattern":{"^self_attn.q_proj":3}"#, 4),
      (#""alpha_pattern":{"model\\.layers\\.0\\.self_attn\\.q_proj":3}"#, 1.5), (#""alpha_pattern":{"":3}"#, 4),
      (#""alpha_pattern":{"self_attn.q.proj":3}"#, 1.5), (#""alpha_pattern":{"self_attn.q\\.proj":3}"#, 4),
      (#""alpha_pattern":{"x.model.layers.0.self_attn.q_proj":3}"#, 4), (#""alpha_pattern":{"q_proj":-0.5}"#, -0.25),
      (#""rank_pattern":{"k_proj":7},"alpha_pattern":null,"modules_to_save":[],"use_dora":false,"bias":"none""#, 4),
      (#""use_rslora":true,"alpha_pattern":{"q_proj":3}"#, 3 / 2.0.squareRoot()),
      (#""init_lora_weights":"gaussian""#, 4),
    ] as [(String, Double)])
  func scaleIsThatOfPEFT(members: String, scale: Double) throws {
    #expect(try Self.open(config: Self.config(members)).modules.first?.scale == scale)
  }

  @Test func rankComesFromTheFirstPatternThatMatches() throws {
    let config = Self.config(#""rank_pattern":{"k_proj":3,"layers.0.self_attn.q_proj":2,"q_proj":5}"#, rank: "9")
    let module = try #require(try Self.open(config: config).modules.first)
    #expect(module.rank == 2 && module.scale == 4)
  }

  @Test(arguments: [
    (#""use_dora":true"#, "use_dora is set"), (#""use_qalora":true"#, "use_qalora is set"),
    (#""use_new_thing":true"#, "use_new_thing is set"), (#""arrow_config":{"top_k":1}"#, "arrow_config is set"),
    (#""modules_to_save":["lm_head"]"#, "modules_to_save is set"), (#""bias":"all""#, "bias is \"all\""),
    (#""lora_bias":true"#, "lora_bias is true"), (#""fan_in_fan_out":true"#, "fan_in_fan_out is true"),
    (#""layer_replication":[[0,1]]"#, "layer_replication is set"), (#""target_parameters":["w"]"#, "target_parameters"),
    (#""trainable_token_indices":[1]"#, "trainable_token_indices"),
    (#""alora_invocation_tokens":[1]"#, "alora_invocation"),
    (#""init_lora_weights":"pissa_niter_4""#, "init_lora_weights is \"pissa_niter_4\""),
    (#""init_lora_weights":"olora""#, "also changes the base's weights"),
    (#""rank_pattern":{".*q_proj":2}"#, "rank_pattern..*q_proj has a key that is a regular expression"),
    (#""alpha_pattern":{"q_proj$":2}"#, "regular expression"), (#""alpha_pattern":{"a|b":2}"#, "regular expression"),
    (#""alpha_pattern":{"q\\d":2}"#, "regular expression"), (#""alpha_pattern":{"q\\":2}"#, "regular expression"),
    (#""alpha_pattern":{"q_proj":"2"}"#, "alpha_pattern.q_proj must be a number"),
    (#""rank_pattern":{"q_proj":0}"#, "rank_pattern.q_proj must be from 1"),
    (#""rank_pattern":[]"#, "rank_pattern must be an object"), (#""use_rslora":1"#, "use_rslora"),
  ])
  func whatIsNoPlainLoRAIsRefusedByName(members: String, message: String) {
    expectRefusal("adapter_config.json", message) { () throws(BoneSoupError) in
      try Self.open(config: Self.config(members))
    }
  }

  @Test func brokenConfigsAreRefused() {
    for (text, message) in [
      ("{}", "peft_type is missing"), (#"{"peft_type":"IA3"}"#, "peft_type is \"IA3\"; LORA is supported"),
      (#"{"peft_type":"LORA","lora_alpha":1}"#, "r is missing"),
      (#"{"peft_type":"LORA","r":1}"#, "lora_alpha is missing"),
      (#"{"peft_type":"LORA","r":0,"lora_alpha":1}"#, "r must be from 1 to 65536, is 0"),
      (#"{"peft_type":"LORA","r":1,"lora_alpha":1e999}"#, "lora_alpha is 1e999"), ("[", "expected a value"),
    ] {
      expectRefusal("adapter_config.json", message) { () throws(BoneSoupError) in
        try Self.open(config: Array(text.utf8))
      }
    }
  }

  @Test func tensorsThatDoNotFitAreRefusedByName() {
    let down = Self.prefix + "q_proj.lora_A.weight"
    let up = Self.prefix + "q_proj.lora_B.weight"
    let refused: [([(String, [Int])], String)] = [
      ([(down, [2, 6])], "the module model.layers.0.q_proj has a lora_A without its lora_B"),
      ([(up, [4, 2])], "has a lora_B without its lora_A"),
      ([(down, [3, 6]), (up, [4, 2])], "do not share a rank"),
      ([(down, [3, 6]), (up, [4, 3])], "has the rank 3, but r and rank_pattern in adapter_config.json give it 2"),
      ([(down, [0, 6]), (up, [4, 0])], "has the shape [0, 6]"),
      ([(down, [2, 6, 1]), (up, [4, 2])], "has the shape [2, 6, 1]"),
      ([(down, [12]), (up, [4, 2])], "has the shape [12]"), ([], "no lora_A and lora_B at all"),
      ([(down, [2, 6]), (up, [4, 2]), (Self.prefix + "q_proj.lora_A.other.weight", [2, 6])], "is a second one"),
      ([(down, [2, 6]), (Self.prefix + "q_proj.lora_embedding_B", [4, 2])], "is a second one"),
    ]
    for (list, message) in refused {
      expectRefusal("adapter_model.safetensors", message) { () throws(BoneSoupError) in
        try Self.open(Self.tensors(list))
      }
    }
    for name in [
      "q_proj.lora_A.weight", "base_model.model.lora_A.weight", "base_model.model..lora_A.weight",
      Self.prefix + "q_proj.lora_magnitude_vector", Self.prefix + "q_proj.lora_B.bias", Self.prefix + "q_proj.weight",
      Self.prefix + "q_proj.lora_A.a.b.weight", Self.prefix + "q_proj.lora_A",
      "base_model.model.norm.modules_to_save.weight",
      Self.prefix + String(repeating: "x", count: 2000) + ".lora_A.weight",
    ] {
      expectRefusal("adapter_model.safetensors: the tensor", String(name.prefix(150)), "is not known in a LoRA adapter")
      {
        () throws(BoneSoupError) in try Self.open(Self.tensors([(down, [2, 6]), (up, [4, 2]), (name, [2, 2])]))
      }
    }
  }

  @Test func missingFilesAreNamed() throws {
    let files = { (names: [String]) throws(BoneSoupError) in
      try memoryFiles(names.map { ($0, $0 == "adapter_config.json" ? Self.config() : []) })
    }
    expectRefusal("adapter_config.json") { () throws(BoneSoupError) in
      try Adapter(folder: files(["adapter_model.safetensors"]), allocator: .system)
    }
    expectRefusal("adapter_model.safetensors does not exist") { () throws(BoneSoupError) in
      try Adapter(folder: files(["adapter_config.json"]), allocator: .system)
    }
    expectRefusal("adapter_model.bin is a PyTorch file") { () throws(BoneSoupError) in
      try Adapter(folder: files(["adapter_config.json", "adapter_model.bin"]), allocator: .system)
    }
    #expect(try Adapter.isAdapter(files(["adapter_config.json"])) && !Adapter.isAdapter(files(["config.json"])))
  }
}
