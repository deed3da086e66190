import Platform
import TestSupport
import Testing

@testable import Tokenization

/// Long texts, and texts made to be slow.
struct LargeTextTests {
  private static func fixture(_ name: String) throws -> Tokenizer {
    try Tokenizer(path: SharedFolder.packageRoot + "/Tests/Fixtures/tokenizers/\(name).json")
  }

  /// Both ways of merging must agree: the one for short words, and the one with a heap.
  @Test func shortAndLongWordsMergeAlike() throws {
    let tokenizer = try Self.fixture("gpt2")
    var random = SplitMix(seed: 3)
    let letters = Array("thefoxandriverin".utf8)
    for _ in 0..<500 {
      let word = (0..<(1 + random.below(MergeWork.shortLimit))).map { _ in letters[random.below(letters.count)] }
      var short = try MergeWork(allocator: .system)
      for byte in word { try short.symbols.append(Symbol(id: try #require(id(byte, tokenizer)))) }
      var long = try MergeWork(allocator: .system)
      try long.symbols.append(contentsOf: short.symbols.span)
      short.mergeShort(tokenizer.model.merges)
      try long.mergeLong(tokenizer.model.merges, monitor: .none)
      #expect(short.symbols.array.map(\.id) == long.symbols.array.filter(\.isAlive).map(\.id))
    }
  }

  private func id(_ byte: UInt8, _ tokenizer: Tokenizer) -> UInt32? {
    [byte].withUnsafeBufferPointer { tokenizer.model.vocabulary.id(of: $0) }
  }

  @Test(arguments: ["gpt2", "llama2", "odd"])
  func aLongWordGoesThereAndBack(name: String) throws {
    let tokenizer = try Self.fixture(name)
    let word = String(repeating: "thefoxfoundtheriver", count: 1000)
    let ids = try tokenizer.encode(word)
    #expect(ids.count < word.utf8.count)
    if name != "odd" { #expect(try tokenizer.decode(ids) == Array(word.utf8)) }
  }

  /// Each of these would take minutes if a character were looked at once for each before it.
  @Test(arguments: [
    ("qwen2", "a" + String(repeating: "\u{301}\u{323}", count: 20_000)),
    ("qwen2", String(repeating: " ", count: 100_000)),
    ("qwen2", String(repeating: "\n", count: 100_000) + " x"), ("gpt2", String(repeating: "'", count: 100_000)),
    ("odd", String(repeating: "<left>", count: 10_000)), ("odd", String(repeating: " ", count: 100_000)),
    ("odd", "<right>" + String(repeating: "  ", count: 50_000)),
    ("llama2", String(repeating: "\u{1F600}", count: 20_000)),
    ("llama2-metaspace", String(repeating: "\u{30E3}", count: 30_000)),
  ])
  func slowTextsAreNotSlow(name: String, text: String) throws {
    let tokenizer = try Self.fixture(name)
    let clock = ContinuousClock()
    let time = try clock.measure { _ = try tokenizer.encode(text) }
    #expect(time < .seconds(20))
  }

  @Test func cancellingEndsLoadingAndEncoding() throws {
    let token = try CancelToken.make()
    defer { token.release() }
    let monitor = Monitor(token: token, progress: nil)
    let tokenizer = try Self.fixture("llama2")
    token.cancel()
    let text = Array(String(repeating: "the river", count: 1000).utf8)
    #expect(throws: BoneSoupError.cancelled) { try tokenizer.encode(text, monitor: monitor) }
    let json = try buffer(Array(SampleFile().json.utf8))
    #expect(throws: BoneSoupError.cancelled) {
      try Tokenizer(json: json.bytes, owner: json, file: "tokenizer.json", allocator: .system, monitor: monitor)
    }
  }

  @Test func loadingTellsItsProgress() throws {
    var shares: [Double] = []
    try withoutActuallyEscaping({ (share: Double) in
      shares.append(share)
      return true
    }) { progress in
      let json = try buffer(Array(SampleFile().json.utf8))
      _ = try Tokenizer(
        json: json.bytes, owner: json, file: "tokenizer.json", allocator: .system,
        monitor: Monitor(token: nil, progress: progress))
    }
    #expect(shares.last == 1)
    #expect(shares == shares.sorted())
  }
}
