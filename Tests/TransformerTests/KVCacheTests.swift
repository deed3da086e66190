import Kernels
import Platform
import TestSupport
import Testing

@testable import Transformer

@Suite struct KVCacheTests {
  @Test func aForkSharesItsBlocksUntilOneSideWrites() throws {
    let allocator = Allocator(limit: nil, host: nil)
    let model = try FixtureModel("llama2", allocator: allocator)
    let text = model.tokens + model.tokens
    let cache = try model.cache()
    try model.run(text.prefix(80), from: 0, in: cache)
    let before = allocator.bytesInUse
    let fork = try cache.fork()
    let blockBytes = cache.layout.blockBytes
    #expect(allocator.bytesInUse - before < blockBytes)
    #expect(fork.byteCount == 2 * blockBytes && cache.byteCount == 2 * blockBytes)
    // The two go on with different tokens; only the block written to is copied.
    let other = Array(text[80..<100].map { ($0 + 1) % 100 })
    let forked = try model.run(other, from: 80, in: fork)
    let plain = try model.run(text[80..<100], from: 80, in: cache)
    #expect(allocator.bytesInUse - before < 2 * blockBytes)
    #expect(sameBits(plain, Array(try model.logits(Array(text.prefix(100)))[80...])))
    #expect(sameBits(forked, Array(try model.logits(text.prefix(80) + other)[80...])))
  }

  @Test func theOriginalMayGoBeforeItsFork() throws {
    let model = try FixtureModel("qwen3")
    var cache: KVCache? = try model.cache()
    if let cache { try model.run(model.tokens.prefix(50), from: 0, in: cache) }
    let fork = try #require(try cache?.fork())
    cache = nil
    #expect(
      sameBits(try model.run(model.tokens[50...], from: 50, in: fork), Array(try model.logits(model.tokens)[50...])))
  }

  @Test func truncatingGivesBlocksBackAndOtherTextMayFollow() throws {
    let allocator = Allocator(limit: nil, host: nil)
    let model = try FixtureModel("llama3", allocator: allocator)
    let text = (0..<200).map { model.tokens[$0 % 64] }
    let cache = try model.cache()
    for start in stride(from: 0, to: 200, by: 100) { try model.run(text[start..<start + 100], from: start, in: cache) }
    #expect(cache.byteCount == 4 * cache.layout.blockBytes)
    cache.truncate(to: 65)
    #expect(cache.byteCount == 2 * cache.layout.blockBytes)
    cache.truncate(to: 64)
    #expect(cache.byteCount == cache.layout.blockBytes)
    cache.truncate(to: 1000)
    #expect(cache.byteCount == cache.layout.blockBytes)
    let other = Array(text.prefix(40)) + Array(model.tokens.reversed())
    #expect(sameBits(try model.run(other[40...], from: 40, in: cache), Array(try model.logits(other)[40...])))
    cache.truncate(to: -3)
    #expect(cache.byteCount == 0)
  }

  @Test func positionsBeyondTheCapacityAreRefused() throws {
    let model = try FixtureModel("llama2")
    let cache = try model.cache(capacity: 70)
    try cache.prepare(from: 0, to: 70)
    #expect(cache.byteCount == 2 * cache.layout.blockBytes)
    #expect(
      failure { try cache.prepare(from: 60, to: 71) }
        == "contextFull: position 71 is beyond the session's context of 70")
    #expect(failure { try cache.prepare(from: -1, to: 3) }.hasPrefix("contextFull"))
    try cache.prepare(from: 10, to: 10)
  }

  @Test func aBlockThatTheBudgetRefusesLeavesTheCacheUsable() throws {
    let allocator = Allocator(limit: 1 << 20, host: nil)
    let model = try FixtureModel("llama2")
    let layout = try KVLayout(model.config, type: .f32)
    let cache = try KVCache(layout: layout, capacity: 100_000, allocator: allocator)
    #expect(failure { try cache.prepare(from: 0, to: 100_000) }.hasPrefix("outOfMemory: a block of the KV cache needs"))
    cache.truncate(to: 64)
    #expect(cache.byteCount == layout.blockBytes)
    #expect(sameBits(try model.run(model.tokens, from: 0, in: cache), try model.logits(model.tokens)))
  }

  @Test func aBlocksSizeFollowsFromTheModel() throws {
    let model = try FixtureModel("llama3")
    // 2 layers × (keys, values) × 2 heads × 64 positions × 8 numbers.
    try #expect(KVLayout(model.config, type: .f32).blockBytes == 2 * 2 * 2 * 64 * 8 * 4)
    try #expect(KVLayout(model.config, type: .bf16).blockBytes == 2 * 2 * 2 * 64 * 8 * 2)
  }
}
