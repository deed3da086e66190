import Checkpoints
import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

@Suite struct OpeningTests {
  /// A soup in a folder: llama3 with its adapter `plain`, and what is added to soup.json.
  private func folder(_ more: String = "") throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.copyModel("llama3", to: "base")
    try folder.copyAdapter("llama3", "plain", to: "backbones/plain")
    try folder.write("soup.json", Self.manifest(base: "base", backbone: "backbones/plain", more))
    return folder
  }

  private static func manifest(base: String, backbone: String, _ more: String = "") -> String {
    #"{"bonesoup": 1, "base": "\#(base)", "objectives": [{"name": "brief"}], "#
      + #""backbones": [{"path": "\#(backbone)"}], "matrix": {"rule": "identity"}\#(more)}"#
  }

  private static let tokens: [Int32] = [1, 20, 255, 3, 80]

  @Test func aFolderItsManifestAndItsParentsPathAreTheSameSoup() throws {
    let folder = try folder()
    try folder.write("other.json", Self.manifest(base: "./base/", backbone: "backbones/../backbones/plain"))
    let paths = ["", "/", "/soup.json", "/other.json", "/base/../soup.json"]
    let logits = try paths.map { try openSoup(folder.path + $0).blend([1]).logits(Self.tokens, last: 5) }
    for other in logits { #expect(sameBits(other, logits[0])) }
    let soup = try openSoup(folder.path)
    #expect(soup.objectives.map(\.name) == ["brief"] && soup.backbones.map(\.path) == ["backbones/plain"])
    #expect(soup.isLowRank && soup.base.format == .f32 && soup.base.tokenizer == nil)
    #expect(try openSoup(Fixtures.soup("llama3-lora")).base.tokenizer != nil)
  }

  @Test func aPlainModelFolderIsASoupWithoutBackbones() throws {
    let soup = try openSoup(Fixtures.model("mistral-f16"))
    #expect(soup.backbones.isEmpty && soup.objectives.isEmpty && soup.matrix == nil && soup.adapters == nil)
    #expect(soup.base.format == .f16)
    #expect(failure { try soup.solver() }.contains("the soup has no objectives, so that it takes no preference"))
  }

  @Test(arguments: [LoadMode.map, .copy])
  func aTableIsTheSameAsAFolder(_ mode: LoadMode) throws {
    let folder = try folder()
    let names = [
      "soup.json", "base/config.json", "base/model.safetensors", "backbones/plain/adapter_config.json",
      "backbones/plain/adapter_model.safetensors",
    ]
    let buffers = try names.map { name in
      let bytes = try TemporaryFolder.read(folder.path + "/" + name)
      let buffer = try Buffer(byteCount: bytes.count, allocator: .system, purpose: "a file")
      UnsafeMutableRawBufferPointer(start: buffer.pointer, count: bytes.count).copyBytes(from: bytes)
      return buffer
    }
    let owner = Owner(buffers)
    let table = try FileTable(
      zip(names, buffers).map { FileTable.Entry(name: "kitchen/" + $0, buffer: $1.bytes) }, owner: owner)
    let expected = try openSoup(folder.path).blend([1]).logits(Self.tokens, last: 5)
    for path in ["kitchen", "kitchen/soup.json"] {
      let soup = try openSoup(path) {
        $0.table = table
        $0.mode = mode
      }
      #expect(sameBits(try soup.blend([1]).logits(Self.tokens, last: 5), expected))
    }
    #expect(
      failure { try openSoup("pantry") { $0.table = table } }.contains("the table has no file or folder \"pantry\""))
    #expect(failure { try openSoup("kitchen/backbones") { $0.table = table } }.contains("no soup and no model folder"))
  }

  private final class Owner: Sendable {
    let buffers: [Buffer]
    init(_ buffers: [Buffer]) { self.buffers = buffers }
  }

  @Test func whatIsNoSoupIsSaid() throws {
    let folder = try folder()
    #expect(failure { try openSoup(folder.path + "/nowhere") }.hasPrefix("notFound"))
    #expect(failure { try openSoup(folder.path + "/backbones") }.contains("holds neither soup.json nor config.json"))
    #expect(failure { try openSoup("") }.hasPrefix("invalidArgument"))
    #expect(failure { try openSoup(folder.path + "/base/model.safetensors") } != "")
    try folder.write("soup.json", Self.manifest(base: "missing", backbone: "backbones/plain"))
    #expect(failure { try openSoup(folder.path) }.contains("missing"))
    try folder.write("soup.json", Self.manifest(base: "base", backbone: "backbones/lost"))
    #expect(failure { try openSoup(folder.path) }.contains("backbones/lost"))
    try folder.write("soup.json", Self.manifest(base: "backbones", backbone: "backbones/plain"))
    #expect(failure { try openSoup(folder.path) }.contains("has no config.json: it is not a Hugging Face model folder"))
  }

  @Test func theWholeIsGivenBackWhereOpeningFailsOrIsCancelled() throws {
    let folder = try folder()
    let allocator = Allocator(limit: nil, host: nil)
    let engine = makeEngine(allocator: allocator)
    var shares: [Double] = []
    func open(until limit: Double) throws -> Soup {
      try Soup.open(
        folder.path, options: OpenOptions(), engine: engine,
        monitor: Monitor(token: nil) {
          shares.append($0)
          return $0 <= limit
        })
    }
    do { _ = try open(until: 2) }
    #expect(shares == shares.sorted() && shares.last == 1)
    for limit in stride(from: 0.0, to: 0.95, by: 0.06) {
      #expect(failure { try open(until: limit) }.hasPrefix("cancelled"))
      #expect(allocator.bytesInUse == 0)
    }
  }

  @Test func checksumsAreComparedWhereAsked() throws {
    let name = "base/model.safetensors"
    var hash = SHA256()
    let bytes = try TemporaryFolder.read(Fixtures.model("llama3") + "/model.safetensors")
    bytes.withUnsafeBytes { hash.update($0) }
    let folder = try folder(#", "checksums": {"\#(name)": "sha256:\#(hash.digest)"}"#)
    _ = try openSoup(folder.path) { $0.verifiesChecksums = true }
    var changed = bytes
    changed[changed.count - 1] ^= 1
    try folder.write(name, changed)
    _ = try openSoup(folder.path)
    let text = failure { try openSoup(folder.path) { $0.verifiesChecksums = true } }
    #expect(text.hasPrefix("checksum: ") && text.contains(name) && text.contains("expects sha256:\(hash.digest)"))
  }

  @Test(arguments: ["base/model.safetensors", "backbones/plain/adapter_model.safetensors"], [Float.nan, -.infinity])
  func weightsThatAreNoNumbersAreFoundWhereAsked(_ name: String, _ value: Float) throws {
    let folder = try folder()
    var bytes = try TemporaryFolder.read(folder.path + "/" + name)
    let end = bytes.count
    bytes.replaceSubrange((end - 4)..<end, with: SafetensorsBuilder.bytes(value))
    _ = try openSoup(folder.path) { $0.verifiesFinite = true }
    try folder.write(name, bytes)
    _ = try openSoup(folder.path)
    let text = failure { try openSoup(folder.path) { $0.verifiesFinite = true } }
    #expect(text.hasPrefix("malformed: ") && text.contains(name) && text.contains("holds NaN or infinity at element"))
  }

  @Test(arguments: [
    ("llama3", "qwen2", "its model_type is qwen2, the base's llama"),
    ("llama3", "llama2", "its vocab_size is 128, the base's 288"),
    ("llama2", "smollm", "its vocab_size is 130, the base's 128"),
    ("llama2", "llama3-bf16", "its num_key_value_heads is 2, the base's 4"),
    ("qwen2", "qwen2-window", "its rotary positions are others than the base's"),
    ("llama3-rope-parameters", "llama-linear", "its num_key_value_heads is 2, the base's 1"),
    ("qwen3", "qwen3-window", "its num_attention_heads is 4, the base's 2"),
  ])
  func checkpointsOfOtherModelsAreRefused(_ base: String, _ backbone: String, _ message: String) throws {
    let soup = try openSoup(Fixtures.model(base))
    let text = failure { try soup.adding(path: Fixtures.model(backbone)) }
    #expect(text.hasPrefix("mismatch: ") && text.contains("is not a fine-tune of") && text.contains(message), "\(text)")
  }

  @Test func aCheckpointMayBeShardedOrAFileOrWithoutConfig() throws {
    let soup = try openSoup(Fixtures.model("llama2"))
    let sharded = try soup.adding(path: Fixtures.model("llama2-sharded"))
    let other = try openSoup(Fixtures.model("llama2-sharded"))
    #expect(try sharded.blend([1]).weights().allBytes == other.base.weights.allBytes)
    let full = Fixtures.soup("llama3-full") + "/backbones/0"
    let folder = try TemporaryFolder()
    try folder.copy(["model.safetensors"], from: full, to: "bare")
    let llama3 = try openSoup(Fixtures.model("llama3"))
    let expected = try openSoup(full).base.weights.allBytes
    for path in [full, full + "/model.safetensors", folder.path + "/bare"] {
      #expect(try llama3.adding(path: path).blend([1]).weights().allBytes == expected)
    }
    let text = failure { try soup.adding(path: folder.path + "/bare") }
    #expect(text.hasPrefix("mismatch: ") && text.contains("has the shape [288, 32]; [128, 32] is needed"), "\(text)")
  }

  @Test(arguments: [false, true])
  func aTiedHeadBesideTheEmbeddingMustEqualIt(_ asFolder: Bool) throws {
    let folder = try TemporaryFolder()
    let base = try FloatTensors(Fixtures.model("llama3") + "/model.safetensors")
    func write(_ head: [Float]) throws {
      var builder = SafetensorsBuilder()
      for name in base.names { builder.add(name, shape: try base.shape(name), try base[name]) }
      builder.add("lm_head.weight", shape: [head.count / 32, 32], head)
      try folder.write("model.safetensors", builder.bytes)
      if asFolder {
        try folder.write("config.json", TemporaryFolder.read(Fixtures.model("llama3") + "/config.json"))
      }
    }
    let soup = try openSoup(Fixtures.model("llama3"))
    let path = folder.path + (asFolder ? "" : "/model.safetensors")
    var head = try base["model.embed_tokens.weight"]
    try write(head)
    #expect(try soup.adding(path: path).blend([1]).weights().allBytes == soup.base.weights.allBytes)
    if asFolder { #expect(try openSoup(path).base.weights.allBytes == soup.base.weights.allBytes) }
    head[5000] = head[5000].nextUp
    try write(head)
    var messages = [failure { try soup.adding(path: path) }]
    if asFolder { messages.append(failure { try openSoup(path) }) }
    for text in messages {
      #expect(
        text.hasPrefix("mismatch: ")
          && text.contains("lm_head.weight differs from model.embed_tokens.weight at element 5000"), "\(text)")
    }
    let token = try CancelToken.make()
    defer { token.release() }
    token.cancel()
    let checkpoint = try Checkpoint(
      file: "model.safetensors", in: FileProvider(folder: folder.path), allocator: .system)
    #expect(
      failure {
        try checkpoint.requireTiedHead(
          soup.base.config, engine: soup.engine, monitor: Monitor(token: token, progress: nil))
      }.hasPrefix("cancelled"))
    try write(Array(head.dropLast(32)))
    #expect(failure { try soup.adding(path: path) }.contains("[287, 32]"))
  }

  @Test func adaptersOfOtherModelsAreRefused() throws {
    let llama3 = try openSoup(Fixtures.model("llama3"))
    let embeddings = failure { try llama3.adding(path: Fixtures.adapter("llama2", "embeddings")) }
    #expect(embeddings.hasPrefix("mismatch: ") && embeddings.contains("is needed"), "\(embeddings)")
    let smollm = failure { try openSoup(Fixtures.model("smollm")).adding(path: Fixtures.adapter("qwen2", "plain")) }
    #expect(smollm.hasPrefix("mismatch: ") && smollm.contains("is needed"), "\(smollm)")
    let folder = try TemporaryFolder()
    try folder.writeAdapter(
      "deep", module: "model.layers.7.self_attn.q_proj", down: [2, 32], up: [32, 2], isEmbedding: false, seed: 1)
    let deep = failure { try llama3.adding(path: folder.path + "/deep") }
    #expect(deep.contains("the adapter changes model.layers.7.self_attn.q_proj, which is no layer of"), "\(deep)")
    try folder.writeAdapter("norm", module: "model.norm", down: [2, 32], up: [32, 2], isEmbedding: false, seed: 1)
    #expect(failure { try llama3.adding(path: folder.path + "/norm") }.contains("model.norm, which is no layer of"))
    try folder.writeAdapter(
      "kind", module: "model.embed_tokens", down: [2, 32], up: [288, 2], isEmbedding: false, seed: 1)
    #expect(failure { try llama3.adding(path: folder.path + "/kind") }.contains("of the wrong kind"))
    try folder.writeAdapter(
      "tied", module: "model.embed_tokens", down: [2, 288], up: [32, 2], isEmbedding: true, seed: 1)
    try folder.write(
      "tied/adapter_config.json", #"{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "ensure_weight_tying": true}"#)
    #expect(failure { try llama3.adding(path: folder.path + "/tied") }.contains("ensure_weight_tying"))
  }

  @Test func aSavedBaseWeightMustBeTheBases() throws {
    let folder = try TemporaryFolder()
    let name = "model.embed_tokens.weight"
    let base = try FloatTensors(Fixtures.model("llama3") + "/model.safetensors")
    func write(_ values: [Float]) throws {
      try folder.writeAdapter(
        "adapter", module: "model.embed_tokens", down: [2, 288], up: [32, 2], isEmbedding: true, seed: 5)
      let file = try FloatTensors(folder.path + "/adapter/adapter_model.safetensors")
      var builder = SafetensorsBuilder()
      for name in file.names { builder.add(name, shape: try file.shape(name), try file[name]) }
      builder.add("base_model.model.model.embed_tokens.base_layer.weight", shape: [288, 32], values)
      try folder.write("adapter/adapter_model.safetensors", builder.bytes)
    }
    let soup = try openSoup(Fixtures.model("llama3"))
    var values = try base[name]
    try write(values)
    _ = try soup.adding(path: folder.path + "/adapter")
    values[4321] += 0.5
    try write(values)
    #expect(
      failure { try soup.adding(path: folder.path + "/adapter") }.contains("differs from the base's at element 4321"))
  }

  @Test func aSoupBuiltStepByStepEqualsTheOneOpened() throws {
    let opened = try openSoup(Fixtures.soup("llama3-lora"))
    var built = try openSoup(Fixtures.model("llama3"))
    for name in ["plain", "patterns", "attention"] {
      built = try built.adding(path: Fixtures.adapter("llama3", name))
    }
    #expect(failure { try built.solver() }.hasPrefix("mismatch"))
    for name in ["brief", "happy", "rich"] { built = try built.adding(Objective(name: name)) }
    #expect(failure { try built.adding(Objective(name: "rich")) }.contains("there is an objective \"rich\" already"))
    #expect(failure { try built.solver() }.contains("the soup has no backbone matrix"))
    #expect(failure { try built.with(extrapolationFactors: [1, 1, 1]) }.contains("set it first"))
    #expect(
      failure { try built.with(matrix: BackboneMatrix(rows: [[1, 0], [0, 1]])) }
        .contains("the matrix is 2 × 2, but the soup has 3 backbones and 3 objectives"))
    built = try built.with(matrix: .bone(beta: 0.6, count: 3))
    var request = BlendRequest()
    request.point = .preference([0.5, 0.25, 0.25])
    let one = try Blend(opened, request, token: nil, progress: nil)
    let other = try Blend(built, request, token: nil, progress: nil)
    #expect(one.fingerprint == other.fingerprint)
    #expect(sameBits(try one.logits(Self.tokens, last: 5), try other.logits(Self.tokens, last: 5)))
  }

  @Test func aSoupHasAtMostSixtyFourBackbones() throws {
    var soup = try openSoup(Fixtures.model("llama2"))
    for _ in 0..<64 { soup = try soup.adding(path: Fixtures.model("llama2")) }
    #expect(
      failure { try soup.adding(path: Fixtures.model("llama2")) } == "invalidArgument: a soup has at most 64 backbones")
  }
}
