import Checkpoints
import JSON
import Kernels
import Platform
import TestSupport

@testable import Transformer

/// A model of Tests/Fixtures, loaded, with its expected tokens and logits.
struct FixtureModel {
  let engine: Engine
  let config: ModelConfig
  let weights: ModelWeights
  let tokens: [Int32]
  /// [position][vocabulary]
  let expected: [[Float]]

  init(
    _ name: String, format: WeightFormat? = nil, threads: Int = 1, allocator: Allocator = .system
  ) throws {
    engine = Engine(pool: ThreadPool(threadCount: threads), allocator: allocator)
    let folder = try FileProvider(folder: Fixtures.model(name))
    config = try ModelConfig(
      folder.json("config.json", maximumBytes: 1 << 20, allocator: allocator).root, generation: nil)
    let checkpoint = try Checkpoint(folder: folder, allocator: allocator)
    try checkpoint.refuseUnknownTensors(config)
    let stored = try ModelWeights.storedFormat(config, in: checkpoint)
    weights = try ModelWeights.load(config, from: checkpoint, format: format ?? stored, engine: engine, monitor: .none)
    let file = try FloatTensors(Fixtures.model(name) + "/expected.safetensors")
    tokens = try file.tokens("tokens")
    let logits = try file["logits"]
    let vocabulary = config.vocabularySize
    expected = tokens.indices.map { Array(logits[$0 * vocabulary..<($0 + 1) * vocabulary]) }
  }

  func cache(_ type: CacheFormat = .f32, capacity: Int = 256) throws -> KVCache {
    try KVCache(layout: try KVLayout(config, type: type), capacity: capacity, allocator: engine.allocator)
  }

  /// Computes tokens from a position on into a cache; their logits, one array for each.
  @discardableResult
  func run(
    _ tokens: some Sequence<Int32>, from start: Int, in cache: KVCache, pass: ForwardPass? = nil,
    monitor: Monitor = .none
  ) throws -> [[Float]] {
    let tokens = Array(tokens)
    try cache.prepare(from: start, to: start + tokens.count)
    return try run(tokens.enumerated().map { ($1, start + $0, cache) }, pass: pass, monitor: monitor)
  }

  /// Computes any rows.
  func run(
    _ rows: [(token: Int32, position: Int, cache: KVCache)], pass: ForwardPass? = nil, monitor: Monitor = .none
  ) throws -> [[Float]] {
    let vocabulary = config.vocabularySize
    let logits = UnsafeMutablePointer<Float>.allocate(capacity: rows.count * vocabulary + 1)
    defer { logits.deallocate() }
    logits.initialize(repeating: .nan, count: rows.count * vocabulary)
    try (pass ?? ForwardPass(config, engine: engine)).run(
      rows.enumerated().map {
        Row(
          token: $1.token, position: $1.position, cache: $1.cache, gains: nil, logits: logits + $0 * vocabulary)
      }, weights: weights, adapters: nil, monitor: monitor)
    return rows.indices.map { Array(UnsafeBufferPointer(start: logits + $0 * vocabulary, count: vocabulary)) }
  }

  /// The logits of all tokens, in pieces that end at `cuts`.
  func logits(_ tokens: [Int32], cuts: [Int] = [], kv: CacheFormat = .f32) throws -> [[Float]] {
    let cache = try cache(kv)
    let pass = ForwardPass(config, engine: engine)
    var result: [[Float]] = []
    for end in cuts + [tokens.count] {
      result += try run(tokens[result.count..<end], from: result.count, in: cache, pass: pass)
    }
    return result
  }
}

/// Whether two lists of logits have the same bits.
func sameBits(_ a: [[Float]], _ b: [[Float]]) -> Bool { sameBits(a.joined().map { $0 }, b.joined().map { $0 }) }
