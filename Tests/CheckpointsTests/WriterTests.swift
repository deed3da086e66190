import Checkpoints
import Glibc
import Kernels
import Platform
import TestSupport
import Testing

@Suite struct WriterTests {
  let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  /// Names, types and shapes, with as many different bytes as each needs.
  private static let tensors: [(name: String, type: ElementType, shape: [Int])] = [
    ("b", .bf16, [3, 5]), ("a\"\\\u{1}é", .f32, [2, 2, 2]), ("scalar", .f16, []), ("empty", .f32, [0, 4]),
    ("c", .f32, [7]),
  ]

  private func list() throws -> TensorList {
    let list = try TensorList(allocator: .system)
    for tensor in Self.tensors { try list.append(tensor.name, type: tensor.type, shape: tensor.shape) }
    return list
  }

  private func bytes(_ index: Int, _ list: TensorList) -> [UInt8] {
    (0..<list.byteCount(at: index)).map { UInt8(truncatingIfNeeded: $0 * 7 + index * 31) }
  }

  private func write(_ list: TensorList, with writer: SafetensorsWriter) throws {
    for index in (0..<list.count).reversed() {
      let bytes = bytes(index, list)
      let half = bytes.count / 2
      try bytes.withUnsafeBytes {
        try writer.write(UnsafeRawBufferPointer(rebasing: $0[half...]), tensor: index, at: half)
        try writer.write(UnsafeRawBufferPointer(rebasing: $0[..<half]), tensor: index)
      }
    }
    try writer.finish()
  }

  private func names(_ path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
  }

  @Test(arguments: [nil, 1, 40, 1000])
  func whatIsWrittenIsReadBack(shardBytes: Int?) throws {
    let list = try list()
    let target = temporary.path + "/out"
    let folder = try OutputFolder(target, byteCount: list.byteCount)
    let writer = try SafetensorsWriter(list, in: folder, shardBytes: shardBytes)
    try write(list, with: writer)
    #expect(names(target).isEmpty)
    try folder.commit()
    #expect(names(temporary.path) == ["out"])
    let read = try Checkpoint(folder: try FileProvider(folder: target), allocator: .system)
    #expect(read.count == list.count)
    for (index, tensor) in Self.tensors.enumerated() {
      let view = try #require(try read.tensor(tensor.name))
      #expect(view.type == tensor.type)
      #expect(view.shape == tensor.shape)
      #expect(Array(view.bytes) == bytes(index, list))
    }
    let isSharded = names(target).contains("model.safetensors.index.json")
    #expect(isSharded == (shardBytes ?? 1000 < 100))
  }

  @Test func wrongListsAreRefused() throws {
    let twice = try TensorList(allocator: .system)
    for _ in 0..<2 { try twice.append("x", type: .f32, shape: [1]) }
    let folder = try OutputFolder(temporary.path + "/out", byteCount: 0)
    #expect(
      failure { try SafetensorsWriter(twice, in: folder) }.hasPrefix("invalidArgument: the tensor x is there twice"))
    let reserved = try TensorList(allocator: .system)
    try reserved.append("__metadata__", type: .f32, shape: [1])
    #expect(failure { try SafetensorsWriter(reserved, in: folder) }.contains("__metadata__"))
    #expect(failure { try reserved.append("", type: .f32, shape: []) }.hasPrefix("invalidArgument"))
    #expect(failure { try reserved.append("x", type: .f32, shape: [.max, 2]) }.contains("too large"))
    #expect(failure { try reserved.append("x", type: .f32, shape: [-1]) }.contains("none negative"))
    #expect(
      failure { try reserved.append("x", type: .f32, shape: [Int](repeating: 1, count: 9)) }.contains("dimensions"))
  }

  @Test func missingAndMisplacedBytesAreNoticed() throws {
    let list = try list()
    let folder = try OutputFolder(temporary.path + "/out", byteCount: 0)
    let writer = try SafetensorsWriter(list, in: folder)
    #expect(failure { try writer.finish() }.hasPrefix("internalFault"))
    let bytes = [UInt8](repeating: 0, count: 31)
    bytes.withUnsafeBytes { bytes in
      #expect(failure { try writer.write(bytes, tensor: 0) }.hasPrefix("internalFault"))
      let one = UnsafeRawBufferPointer(rebasing: bytes[..<1])
      #expect(failure { try writer.write(one, tensor: 0, at: 30) }.hasPrefix("internalFault"))
      #expect(failure { try writer.write(one, tensor: 0, at: -1) }.hasPrefix("internalFault"))
      #expect(failure { try writer.write(one, tensor: 0, at: .max) }.hasPrefix("internalFault"))
    }
  }

  @Test func targetIsAbsentOrWhole() throws {
    let target = temporary.path + "/out"
    do {
      let folder = try OutputFolder(target, byteCount: 10)
      try folder.write("x", text: "half")
      #expect(names(temporary.path) == [".out.partial"])
      #expect(failure { try OutputFolder(target, byteCount: 0) }.hasPrefix("busy: "))
    }
    #expect(names(temporary.path).isEmpty)
    // What a killed run left behind.
    try temporary.write(".out.partial/model.safetensors", "old")
    let folder = try OutputFolder(target + "/", byteCount: 10)
    try folder.write("x", text: "whole")
    #expect(failure { try folder.create("x", byteCount: 1) }.hasPrefix("io: "))
    for name in ["", ".", "..", "a/b", "a\0b"] {
      #expect(failure { try folder.create(name, byteCount: 1) }.hasPrefix("invalidArgument: "))
    }
    try folder.commit()
    #expect(names(target) == ["x"])
    #expect(failure { try OutputFolder(target, byteCount: 0) }.contains("exists already"))
  }

  @Test func targetMayBeAnEmptyFolderAndNothingElse() throws {
    let target = temporary.path + "/out"
    mkdir(target, 0o755)
    let folder = try OutputFolder(target, byteCount: 0)
    try folder.write("x", text: "")
    // Somebody was faster.
    try temporary.write("out/mine", "kept")
    #expect(failure { try folder.commit() }.contains("exists already"))
    #expect(names(target) == ["mine"])
    #expect(failure { try OutputFolder(temporary.path + "/none/out", byteCount: 0) }.hasPrefix("notFound: "))
    for path in ["", "/", ".", "..", "a\0b"] {
      #expect(failure { try OutputFolder(path, byteCount: 0) }.hasPrefix("invalidArgument: "))
    }
  }

  @Test func roomOnTheDiskIsAskedForFirst() throws {
    let target = temporary.path + "/out"
    #expect(failure { try OutputFolder(target, byteCount: .max) }.contains("the disk has"))
    #expect(names(temporary.path).isEmpty)
    let folder = try OutputFolder(target, byteCount: 0)
    #expect(failure { try folder.create("x", byteCount: 1 << 50) }.hasPrefix("io: "))
  }

  @Test(arguments: [
    (#"{"a": 1, "torch_dtype": "float32" }"#, #"{"a": 1, "torch_dtype": "bfloat16" }"#),
    (#"{"dtype":"float16","torch_dtype":"float16"}"#, #"{"dtype":"bfloat16","torch_dtype":"bfloat16"}"#),
    (#"{"a":{"dtype":"x"}}"#, "{\n  \"torch_dtype\": \"bfloat16\"," + #""a":{"dtype":"x"}}"#),
    (#"{"dtype": null}"#, #"{"dtype": "bfloat16"}"#), ("{}", "{\n  \"torch_dtype\": \"bfloat16\"}"),
  ])
  func configIsTakenOverWithItsType(config: String, expected: String) throws {
    try temporary.write("source/config.json", config)
    try temporary.write("source/tokenizer.json", "\u{0} any bytes")
    let list = try list()
    let target = temporary.path + "/out"
    let writer = try HuggingFaceFolderWriter(
      target, tensors: list, like: try FileProvider(folder: temporary.path + "/source"), type: .bf16, card: "# Card\n",
      allocator: .system)
    try write(list, with: writer.tensors)
    try writer.write("extra.json", text: "{}")
    try writer.commit()
    #expect(names(target) == ["README.md", "config.json", "extra.json", "model.safetensors", "tokenizer.json"])
    #expect(try TemporaryFolder.read(target + "/config.json") == Array(expected.utf8))
    #expect(try TemporaryFolder.read(target + "/tokenizer.json") == Array("\u{0} any bytes".utf8))
    #expect(try TemporaryFolder.read(target + "/README.md") == Array("# Card\n".utf8))
  }
}
