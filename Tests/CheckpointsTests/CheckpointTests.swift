import Checkpoints
import Platform
import TestSupport
import Testing

@Suite struct CheckpointTests {
  private static func shard(_ tensors: [(String, [Int])]) -> [UInt8] {
    var builder = SafetensorsBuilder()
    for (name, shape) in tensors { builder.add(name, shape: shape, filledWith: Float(name.utf8.count)) }
    return builder.bytes
  }

  private static let first = shard([("model.embed", [4, 2]), ("model.norm", [2])])
  private static let second = shard([("lm_head", [4, 2]), ("unlisted", [1])])

  private static func index(_ map: String) -> [UInt8] { Array("{\"metadata\":{},\"weight_map\":\(map)}".utf8) }

  private static let goodIndex = index(
    #"{"model.embed":"a.safetensors","lm_head":"b.safetensors","model.norm":"a.safetensors"}"#)

  private static func open(_ files: [(String, [UInt8])]) throws(BoneSoupError) -> Checkpoint {
    try Checkpoint(folder: memoryFiles(files), allocator: .system)
  }

  private static func openShards(_ index: [UInt8]) throws(BoneSoupError) -> Checkpoint {
    try open([("model.safetensors.index.json", index), ("a.safetensors", first), ("b.safetensors", second)])
  }

  private func names(_ checkpoint: Checkpoint) -> [String] {
    (0..<checkpoint.count).map { String(decoding: checkpoint.name(at: $0), as: UTF8.self) }
  }

  @Test func singleFileIsOpened() throws {
    let checkpoint = try Self.open([("model.safetensors", Self.first)])
    #expect(names(checkpoint) == ["model.embed", "model.norm"] && checkpoint.identities.count == 1)
    #expect(try checkpoint.tensor("model.norm")?.floats == [10, 10])
    #expect(try checkpoint.tensor("model") == nil && checkpoint.tensor("") == nil)
    #expect(try checkpoint.requireTensor("model.embed", shape: [4, 2]).count == 8)
    let files = try memoryFiles([("x/any.safetensors", Self.first)])
    #expect(try Checkpoint(file: "x/any.safetensors", in: files, allocator: .system).count == 2)
  }

  @Test func shardsAreOpenedByTheirIndex() throws {
    let checkpoint = try Self.openShards(Self.goodIndex)
    #expect(names(checkpoint) == ["lm_head", "model.embed", "model.norm"] && checkpoint.identities.count == 2)
    #expect(try checkpoint.tensor("lm_head")?.file == "b.safetensors" && checkpoint.tensor("unlisted") == nil)
    #expect(try checkpoint.requireTensor("model.embed", shape: [4, 2]).file == "a.safetensors")
  }

  @Test func missingAndMisshapenTensorsAreRefusedByName() throws {
    let checkpoint = try Self.open([("model.safetensors", Self.first)])
    expectRefusal("model.safetensors: the tensor lm_head is missing", "[4, 2]") { () throws(BoneSoupError) in
      try checkpoint.requireTensor("lm_head", shape: [4, 2])
    }
    expectRefusal("model.safetensors: the tensor model.embed has the shape [4, 2]; [2, 4] is needed") {
      () throws(BoneSoupError) in try checkpoint.requireTensor("model.embed", shape: [2, 4])
    }
  }

  @Test func brokenIndexesAreRefused() {
    let file = "model.safetensors.index.json"
    for (map, message) in [
      (#"{"model.norm":"b.safetensors"}"#, "the tensor model.norm is not in its shard b.safetensors"),
      (#"{"model.norm":"c.safetensors"}"#, "the shard c.safetensors does not exist"),
      (#"{"model.norm":"../a.safetensors"}"#, "weight_map.model.norm must name a file in the same folder"),
      (#"{"model.norm":"/a.safetensors"}"#, "must name a file in the same folder"),
      (#"{"model.norm":".."}"#, "must name a file"), (#"{"model.norm":""}"#, "must name a file"),
      (#"{"model.norm":"a\u0000"}"#, "must name a file"),
      (#"{"model.norm":1}"#, "weight_map.model.norm must be a string"), ("[]", "weight_map must be an object"),
      (#"{"model.norm":"a.safetensors","model.norm":"a.safetensors"}"#, "appears twice"),
      ("{" + (0..<5000).map { "\"t\($0)\":\"s\($0)\"" }.joined(separator: ",") + "}", "more than 4096 shards"),
    ] {
      expectRefusal(file, message) { () throws(BoneSoupError) in try Self.openShards(Self.index(map)) }
    }
    expectRefusal(file, "weight_map is missing") { () throws(BoneSoupError) in
      try Self.openShards(Array("{}".utf8))
    }
    expectRefusal("a.safetensors", "cut short") { () throws(BoneSoupError) in
      try Self.open([
        (file, Self.goodIndex), ("a.safetensors", Array(Self.first.dropLast(40))), ("b.safetensors", Self.second),
      ])
    }
  }

  @Test func otherFormatsAreRefusedWithWhatToDo() throws {
    for name in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
      expectRefusal(name, "convert the model to safetensors") { () throws(BoneSoupError) in try Self.open([(name, [])])
      }
    }
    expectRefusal("q8.gguf is a GGUF file", "later version") { () throws(BoneSoupError) in
      try Self.open([("q8.gguf", [])])
    }
    expectRefusal("has neither model.safetensors nor", "other.safetensors") { () throws(BoneSoupError) in
      try Self.open([("other.safetensors", [])])
    }
    expectRefusal("has neither model.safetensors nor model.safetensors.index.json") { () throws(BoneSoupError) in
      try Self.open([("config.json", [])])
    }
    let files = try memoryFiles([("m.gguf", [1]), ("m.bin", [1])])
    for name in ["m.gguf", "m.bin"] {
      let error = refusal { () throws(BoneSoupError) in
        try Checkpoint(file: name, in: files, allocator: .system)
      }
      guard case .unsupported? = error else {
        Issue.record("\(name): \(String(describing: error))")
        continue
      }
    }
  }

  @Test func openingShardsReportsRisingShares() throws {
    var shares: [Double] = []
    let monitor = Monitor(token: nil) {
      shares.append($0)
      return true
    }
    let files = try memoryFiles(
      [
        ("model.safetensors.index.json", Self.goodIndex), ("a.safetensors", Self.first), ("b.safetensors", Self.second),
      ],
      mode: .copy)
    _ = try Checkpoint(folder: files, allocator: .system, monitor: monitor)
    #expect(shares == shares.sorted() && shares.last == 1 && shares.contains(0.5))
  }
}
