import Kernels
import Platform
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct AdapterWriterTests {
  private static let modules: [AdapterFolderWriter.Module] = [
    .init(name: "model.embed_tokens", kind: .embedding, inputs: 5, outputs: 3),
    .init(name: "model.layers.0.self_attn.q_proj", kind: .linear, inputs: 3, outputs: 4),
  ]

  private func writer(_ path: String, type: ElementType = .f32, base: String = "a/b") throws -> AdapterFolderWriter {
    try AdapterFolderWriter(
      path, modules: Self.modules, rank: 2, type: type, targets: ["embed_tokens", "q_proj"], base: base, card: "card",
      allocator: .system)
  }

  private func bytes(_ values: [Float]) -> [UInt8] { values.flatMap { SafetensorsBuilder.bytes($0) } }

  @Test func whatIsWrittenIsReadBack() throws {
    let folder = try TemporaryFolder()
    let writer = try writer(folder.path + "/out", base: "quotes \" and\nlines")
    for (index, module) in Self.modules.enumerated() {
      let down = (0..<2 * module.inputs).map { Float($0 + 10 * index) }
      let up = (0..<2 * module.outputs).map { -Float($0 + 10 * index) }
      try bytes(down).withUnsafeBytes { (down) throws in
        try bytes(up).withUnsafeBytes { try writer.write(module: index, down: down, up: $0) }
      }
    }
    try writer.commit()
    let adapter = try Adapter(folder: FileProvider(folder: folder.path + "/out"), allocator: .system)
    #expect(adapter.modules.map(\.name) == Self.modules.map(\.name))
    #expect(adapter.modules.allSatisfy { $0.rank == 2 && $0.scale == 1 })
    #expect(adapter.modules[0].kind == .embedding && adapter.modules[0].down.shape == [2, 5])
    #expect(adapter.modules[1].up.shape == [4, 2])
    #expect(Array(adapter.modules[1].down.bytes) == bytes((0..<6).map { Float($0 + 10) }))
    let config = String(
      decoding: try TemporaryFolder.read(folder.path + "/out/adapter_config.json"), as: UTF8.self)
    #expect(config.contains(#""base_model_name_or_path": "quotes \" and\u000alines""#))
  }

  @Test func anAdapterThatIsNotWholeIsNotCommitted() throws {
    let folder = try TemporaryFolder()
    do {
      let writer = try writer(folder.path + "/out")
      #expect(failure { try writer.commit() }.hasPrefix("internalFault: 0 of"))
    }
    #expect(failure { try FileProvider(folder: folder.path + "/out") }.hasPrefix("notFound"))
    #expect(failure { try FileProvider(folder: folder.path + "/.out.partial") }.hasPrefix("notFound"))
  }
}
