import Checkpoints
import Kernels
import Platform
import TestSupport

@testable import Soups
@testable import Transformer

func makeEngine(threads: Int = 1, allocator: Allocator = .system) -> Engine {
  Engine(pool: ThreadPool(threadCount: threads), allocator: allocator)
}

/// Opens a folder or file.
func openSoup(
  _ path: String, engine: Engine = makeEngine(), _ change: (inout OpenOptions) -> Void = { _ in }
) throws(BoneSoupError) -> Soup {
  var options = OpenOptions()
  change(&options)
  return try Soup.open(path, options: options, engine: engine, monitor: .none)
}

extension Soup {
  func adding(path: String) throws(BoneSoupError) -> Soup {
    let (folder, file) = try OpenOptions().locate(path)
    let backbone = try Backbone(
      path: file ?? ".", label: path, files: folder, base: base, engine: engine, monitor: .none)
    return try adding(backbone)
  }

  func blend(
    _ coefficients: [Double], _ kind: BlendRequest.Kind = .automatic, format: WeightFormat? = nil,
    multipliers: [Float]? = nil
  ) throws(BoneSoupError) -> Blend {
    var request = BlendRequest()
    request.point = .coefficients(coefficients)
    request.kind = kind
    request.format = format
    request.layerMultipliers = multipliers
    return try Blend(self, request, token: nil, progress: nil)
  }
}

extension Blend {
  /// The logits of the last `last` tokens, one array for all.
  func logits(_ tokens: [Int32], last: Int, kv: CacheFormat = .f32) throws -> [Float] {
    let weights = try weights(within: nil)
    let config = soup.base.config
    let vocabulary = config.vocabularySize
    let cache = try KVCache(
      layout: try KVLayout(config, type: kv), capacity: tokens.count, allocator: soup.engine.allocator)
    try cache.prepare(from: 0, to: tokens.count)
    var logits = [Float](repeating: .nan, count: last * vocabulary)
    let first = tokens.count - last
    try logits.withUnsafeMutableBufferPointer { buffer throws in
      let start = buffer.baseAddress
      try soup.base.withPass(soup.engine) { (pass) throws(BoneSoupError) in
        try pass.run(
          tokens.enumerated().map { position, token in
            Row(
              token: token, position: position, cache: cache, gains: gains,
              logits: position < first ? nil : start.map { $0 + (position - first) * vocabulary })
          }, weights: weights, adapters: adapters, monitor: .none)
      }
    }
    return logits
  }
}

extension Weight {
  var bits: [UInt8] { floats.flatMap(SafetensorsBuilder.bytes) }

  /// The numbers of the matrix, as they are after their rounding to its format.
  var floats: [Float] {
    let kernels = Kernels.detect()
    var row = [Float](repeating: .nan, count: columns)
    return (0..<rows).flatMap { index in
      row.withUnsafeMutableBufferPointer { buffer in
        if let start = buffer.baseAddress { unpack(row: index, kernels: kernels, into: start) }
      }
      return row
    }
  }
}

extension VectorWeight {
  var floats: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}

extension ModelWeights {
  /// The bytes of every matrix and vector.
  var allBytes: [UInt8] {
    var bytes = embedding.bits + head.bits
    func add(_ vector: VectorWeight?) { bytes += (vector?.floats ?? []).flatMap(SafetensorsBuilder.bytes) }
    add(finalNorm)
    for layer in layers {
      add(layer.inputNorm)
      add(layer.postAttentionNorm)
      add(layer.queryNorm)
      add(layer.keyNorm)
      for linear in [layer.query, layer.key, layer.value, layer.output, layer.gate, layer.up, layer.down] {
        bytes += linear.weight.bits
        add(linear.bias)
      }
    }
    return bytes
  }
}

extension TemporaryFolder {
  /// Copies files of a fixture's folder.
  func copy(_ names: [String], from folder: String, to target: String) throws {
    for name in names { try write(target + "/" + name, TemporaryFolder.read(folder + "/" + name)) }
  }

  func copyModel(_ name: String, to target: String) throws {
    try copy(["config.json", "model.safetensors"], from: Fixtures.model(name), to: target)
  }

  func copyAdapter(_ model: String, _ name: String, to target: String) throws {
    try copy(["adapter_config.json", "adapter_model.safetensors"], from: Fixtures.adapter(model, name), to: target)
  }

  /// Writes an adapter of rank 2 and scale 2 on one module, its numbers from a seed.
  func writeAdapter(_ target: String, module: String, down: [Int], up: [Int], isEmbedding: Bool, seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    func numbers(_ shape: [Int]) -> [Float] {
      (0..<shape[0] * shape[1]).map { _ in Float.random(in: -0.3...0.3, using: &random) }
    }
    var builder = SafetensorsBuilder()
    let prefix = "base_model.model.\(module)."
    builder.add(prefix + (isEmbedding ? "lora_embedding_A" : "lora_A.weight"), shape: down, numbers(down))
    builder.add(prefix + (isEmbedding ? "lora_embedding_B" : "lora_B.weight"), shape: up, numbers(up))
    try write(target + "/adapter_model.safetensors", builder.bytes)
    try write(target + "/adapter_config.json", #"{"peft_type": "LORA", "r": 2, "lora_alpha": 4}"#)
  }
}

/// Text with every `old` replaced.
func replacing(_ text: String, _ old: String, with new: String) -> String {
  text.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
}

/// The same in a file of a folder.
func edit(_ folder: TemporaryFolder, _ name: String, _ old: String, with new: String) throws {
  let text = String(decoding: try TemporaryFolder.read(folder.path + "/" + name), as: UTF8.self)
  try folder.write(name, replacing(text, old, with: new))
}
