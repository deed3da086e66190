import Checkpoints
import Glibc
import Kernels
import Platform
import Synchronization
import TestSupport
import Testing
import Transformer

@testable import Soups

/// Merging files: what can go wrong on the way, and what is written beside the tensors.
@Suite struct FileMergeTests {
  let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  private var target: String { temporary.path + "/out" }

  /// A model of one large tensor, so that its file is mapped and read in many blocks.
  private func large(_ name: String, value: Float, count: Int = 1 << 20) throws -> String {
    var builder = SafetensorsBuilder()
    builder.add("model.norm.weight", shape: [8], filledWith: value)
    builder.add("model.layers.0.mlp.up_proj.weight", shape: [count / 256, 256], filledWith: value)
    try temporary.write(name + "/model.safetensors", builder.bytes)
    try temporary.write(name + "/config.json", "{}")
    return temporary.path + "/" + name
  }

  private func recipe(_ models: [String]) -> MergeRecipe {
    var recipe = MergeRecipe(method: "linear", base: nil, models: models)
    recipe.settings = [ParameterSetting("weight", values: [1])]
    return recipe
  }

  @Test func tokenizerAndConfigAreCarriedOverAndTheCardTells() throws {
    try temporary.write("a/config.json", #"{"model_type": "llama", "torch_dtype": "float32"}"#)
    try temporary.write("a/tokenizer.json", "{\"x\": 1}")
    try temporary.write("a/model.safetensors", try TemporaryFolder.read(MergeFixture.path + "/tune2/model.safetensors"))
    var recipe = recipe([temporary.path + "/a", MergeFixture.path + "/tune0"])
    recipe.type = .bf16
    recipe.settings.append(ParameterSetting("normalize", values: [1]))
    let merge = try FileMerge(recipe, engine: MergeFixture.engine())
    try merge.run(to: target, shardBytes: 600, hashesSources: true)
    #expect(try TemporaryFolder.read(target + "/tokenizer.json") == Array("{\"x\": 1}".utf8))
    #expect(
      try TemporaryFolder.read(target + "/config.json")
        == Array(#"{"model_type": "llama", "torch_dtype": "bfloat16"}"#.utf8))
    let card = String(decoding: try TemporaryFolder.read(target + "/README.md"), as: UTF8.self)
    for part in ["linear", "tune0", "weight", "\(merge.fingerprint)", "a/model.safetensors"] {
      #expect(card.contains(part), "\(part)")
    }
    #expect(!card.contains(temporary.path))
    let read = try Checkpoint(folder: try FileProvider(folder: target), allocator: .system)
    #expect(read.count == 6 && read.identities.count > 1)
    #expect(try read.tensor("model.norm.weight")?.type == .bf16)
  }

  @Test func sourceThatIsCutShortOnTheWayIsAnError() throws {
    let (first, second) = (try large("a", value: 1), try large("b", value: 3))
    let merge = try FileMerge(recipe([first, second]), engine: MergeFixture.engine())
    #expect(truncate(second + "/model.safetensors", 1 << 21) == 0)
    let message = failure { try merge.run(to: target) }
    #expect(message.hasPrefix("io: ") && message.contains("cut short"), "\(message)")
    #expect(access(target, F_OK) != 0 && access(temporary.path + "/.out.partial", F_OK) != 0)
  }

  @Test func sourceThatIsChangedOnTheWayIsAnError() throws {
    let (first, second) = (try large("a", value: 1), try large("b", value: 3))
    let merge = try FileMerge(recipe([first, second]), engine: MergeFixture.engine())
    let file = fopen(second + "/model.safetensors", "r+b")
    fseek(file, -4, SEEK_END)
    fputc(7, file)
    fclose(file)
    // A clock that is coarser than this test would hide it.
    utimes(second + "/model.safetensors", nil)
    let message = failure { try merge.run(to: target) }
    #expect(message.hasPrefix("io: ") && message.contains("was changed"), "\(message)")
    #expect(access(target, F_OK) != 0)
  }

  @Test func cancelLeavesNothing() throws {
    let models = [try large("a", value: 1, count: 1 << 22), try large("b", value: 3, count: 1 << 22)]
    let merge = try FileMerge(recipe(models), engine: MergeFixture.engine())
    let token = try CancelToken.make()
    defer { token.release() }
    token.cancel()
    #expect(
      failure { try merge.run(to: target, monitor: Monitor(token: token, progress: nil)) }
        == "cancelled: cancelled by the host")
    let calls = Atomic<Int>(0)
    let stopping = Monitor(token: nil) { _ in
      calls.wrappingAdd(1, ordering: .relaxed)
      return false
    }
    #expect(failure { try merge.run(to: target, monitor: stopping) }.hasPrefix("cancelled"))
    #expect(calls.load(ordering: .relaxed) == 1)
    #expect(access(target, F_OK) != 0 && access(temporary.path + "/.out.partial", F_OK) != 0)
    try merge.run(to: target)
    #expect(try FloatTensors(target + "/model.safetensors")["model.norm.weight"] == [Float](repeating: 2, count: 8))
  }

  @Test func tiedModelsMayStoreTheirMatrixUnderEitherName() throws {
    func model(_ name: String, _ tensor: String, _ value: Float) throws -> String {
      var builder = SafetensorsBuilder()
      builder.add(tensor, shape: [4, 2], filledWith: value)
      try temporary.write(name + "/model.safetensors", builder.bytes)
      try temporary.write(name + "/config.json", #"{"tie_word_embeddings": true}"#)
      return temporary.path + "/" + name
    }
    let models = [try model("a", "lm_head.weight", 1), try model("b", "model.embed_tokens.weight", 3)]
    try FileMerge(recipe(models), engine: MergeFixture.engine()).run(to: target)
    #expect(try FloatTensors(target + "/model.safetensors")["lm_head.weight"] == [Float](repeating: 2, count: 8))
  }

  @Test func hostsMethodSeesEveryElementOnce() throws {
    var recipe = MergeRecipe(
      method: "own", base: MergeFixture.path + "/base", models: (0..<2).map { MergeFixture.path + "/tune\($0)" })
    recipe.type = .f32
    recipe.settings = [ParameterSetting("weight", model: 1, values: [3])]
    let seen = Atomic<Int>(0)
    recipe.hostMethod = HostMethod(name: "own") { block in
      guard let base = block.base, block.weights == [1, 3] else { return false }
      for index in 0..<block.count {
        block.result[index] = max(block.models[0][index], block.models[1][index]) - base[index]
      }
      seen.wrappingAdd(block.count, ordering: .relaxed)
      return true
    }
    try FileMerge(recipe, engine: MergeFixture.engine()).run(to: target)
    let merged = try FloatTensors(target + "/model.safetensors")
    #expect(seen.load(ordering: .relaxed) == 12 * 8 + 20 * 8 + 8 * 20 + 8 * 8 + 8 + 8)
    let (base, third) = (
      try FloatTensors(MergeFixture.path + "/base/model.safetensors")["model.norm.weight"],
      try merged["model.norm.weight"]
    )
    #expect(base.count == third.count && third.allSatisfy { $0.isFinite })
    recipe.hostMethod = HostMethod(name: "own") { _ in false }
    let stopped = try FileMerge(recipe, engine: MergeFixture.engine())
    #expect(failure { try stopped.run(to: temporary.path + "/other") }.hasPrefix("cancelled"))
  }
}
