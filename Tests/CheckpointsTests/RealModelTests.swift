import Checkpoints
import Platform
import TestSupport
import Testing

/// The files of the shared folder and of the fixtures.
@Suite struct RealModelTests {
  private static func provider(_ path: String, mode: LoadMode = .map) throws(BoneSoupError) -> FileProvider {
    try FileProvider(folder: path, mode: mode)
  }

  @Test(.enabled(if: SharedFolder.path != nil), arguments: [LoadMode.map, .copy])
  func modelsOfTheSharedFolderHaveTheirShapes(mode: LoadMode) throws {
    let models = try Self.provider(#require(SharedFolder.path) + "/models", mode: mode)
    for (name, embedding) in [
      ("TinyStories-656K", "lm_head.weight"), ("tinysoup/full/bs70_0", "model.embed_tokens.weight"),
      ("tinysoup/full/bs70_1", "model.embed_tokens.weight"), ("tinysoup/full/bs70_2", "model.embed_tokens.weight"),
    ] {
      let folder = try models.folder(name)
      let config = try folder.json("config.json", maximumBytes: 1 << 20, allocator: .system).root
      let (hidden, inner) = (try config.int("hidden_size"), try config.int("intermediate_size"))
      let checkpoint = try Checkpoint(folder: folder, allocator: .system)
      _ = try checkpoint.requireTensor(embedding, shape: [config.int("vocab_size"), hidden])
      for layer in 0..<(try config.int("num_hidden_layers")) {
        let prefix = "model.layers.\(layer)."
        _ = try checkpoint.requireTensor(prefix + "mlp.down_proj.weight", shape: [hidden, inner])
        _ = try checkpoint.requireTensor(prefix + "input_layernorm.weight", shape: [hidden])
      }
      for index in 0..<checkpoint.count {
        let tensor = try checkpoint.tensor(at: index)
        #expect(tensor.type == .f32 && tensor.floats.allSatisfy(\.isFinite))
        tensor.dropBehind()
      }
    }
  }

  @Test(.enabled(if: SharedFolder.path != nil)) func adaptersOfTheSharedFolderAreRead() throws {
    let models = try Self.provider(#require(SharedFolder.path) + "/models/tinysoup/lora")
    for index in 0..<3 {
      let folder = try models.folder("lora70_\(index)")
      #expect(Adapter.isAdapter(folder))
      let adapter = try Adapter(folder: folder, allocator: .system)
      #expect(adapter.modules.count % 7 == 0 && adapter.modules.allSatisfy { $0.rank == 8 && $0.scale == 2 })
      #expect(adapter.modules.allSatisfy { $0.name.hasPrefix("model.layers.") && $0.down.shape[0] == 8 })
    }
  }

  @Test func fixturesAreRead() throws {
    let models = try Self.provider(SharedFolder.packageRoot + "/Tests/Fixtures/models")
    let sharded = try Checkpoint(folder: models.folder("llama2-sharded"), allocator: .system)
    #expect(sharded.identities.count == 3 && sharded.count > 10)
    let patterns = try Adapter(folder: models.folder("llama3/adapters/patterns"), allocator: .system)
    let scales = Dictionary(
      uniqueKeysWithValues: patterns.modules.map { ($0.name.split(separator: ".").last ?? "", $0) })
    #expect(scales["down_proj"]?.rank == 6 && scales["down_proj"]?.scale == 10 / 6.0.squareRoot())
    #expect(scales["q_proj"]?.rank == 2 && scales["q_proj"]?.scale == 6 / 2.0.squareRoot())
    #expect(scales["v_proj"]?.rank == 4 && scales["v_proj"]?.scale == 1.5 && scales["o_proj"]?.scale == 3)
    let embeddings = try Adapter(folder: models.folder("llama2/adapters/embeddings"), allocator: .system)
    let embedding = try #require(embeddings.modules.first { $0.name == "model.embed_tokens" })
    #expect(embedding.kind == .embedding && embedding.down.shape == [4, 128] && embedding.up.shape == [32, 4])
  }
}
