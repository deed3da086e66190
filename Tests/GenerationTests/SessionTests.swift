import Kernels
import Platform
import Soups
import TestSupport
import Testing
import Transformer

@testable import Generation

@Suite struct SessionTests {
  private static let lora = Fixtures.soup("llama3-lora")

  @Test(arguments: ["llama2", "llama3", "mistral", "qwen2", "qwen3", "smollm"])
  func greedyTextEqualsTransformers(_ name: String) throws {
    let file = try FloatTensors(Fixtures.model(name) + "/expected.safetensors")
    let session = try openSoup(Fixtures.model(name)).session()
    try session.append(Array(try file.tokens("tokens").prefix(8)))
    #expect(try session.follow(32) == (try file.tokens("greedy")))
  }

  @Test func rewoundSessionGoesOnAsIfTheRestHadNeverBeen() throws {
    let tokens = try fixtureTokens("llama3")
    let soup = try openSoup(Self.lora)
    let session = try soup.session([2, -0.5, -0.5])
    try session.append(tokens)
    try session.compute()
    try session.rewind(to: 20)
    #expect(session.tokenCount == 20 && session.pendingCount == 1)
    try session.append(Array(tokens[40...]))
    try session.compute()
    let fresh = try soup.session([2, -0.5, -0.5])
    try fresh.append(Array(tokens[..<20] + tokens[40...]))
    try fresh.compute()
    #expect(sameBits(try session.last(), try fresh.last()))
    #expect(session.fingerprint == fresh.fingerprint)
    #expect(throws: BoneSoupError.self) { try session.rewind(to: 100) }
    try session.rewind(to: 0)
    #expect(throws: BoneSoupError.self) { try session.last() }
  }

  @Test func forksShareWhatTheyHaveAndGoTheirOwnWay() throws {
    let tokens = try fixtureTokens("llama3")
    let soup = try openSoup(Self.lora)
    let one = try soup.session([0.5, 0.25, 0.25])
    try one.append(Array(tokens[..<30]))
    try one.compute()
    let other = try one.fork()
    #expect(sameBits(try one.last(), try other.last()))
    try one.append(Array(tokens[30..<50]))
    try other.append(Array(tokens[44...]))
    #expect(Decoding.run([one, other], monitor: .none).allSatisfy { $0 == nil })
    for (session, text) in [(one, Array(tokens[..<50])), (other, Array(tokens[..<30] + tokens[44...]))] {
      let alone = try soup.session([0.5, 0.25, 0.25])
      try alone.append(text)
      try alone.compute()
      #expect(sameBits(try session.last(), try alone.last()))
    }
  }

  @Test(arguments: [BlendRequest.Kind.live, .folded])
  func recomputingGivesTheBitsOfAFreshSession(_ kind: BlendRequest.Kind) throws {
    let tokens = try fixtureTokens("llama3")
    let soup = try openSoup(Self.lora)
    let session = try soup.session([1, 0, 0], kind)
    try session.append(tokens)
    try session.compute()
    let next = try soup.blend([-0.75, 1.75, 0], kind)
    try session.set(next, policy: .recompute)
    #expect(session.pendingCount == tokens.count)
    try session.compute()
    let fresh = try Session(next, context: 128, type: nil)
    try fresh.append(tokens)
    try fresh.compute()
    #expect(sameBits(try session.last(), try fresh.last()))
    #expect(session.fingerprint == fresh.fingerprint)
  }

  @Test func continuingKeepsTheOldKeysAndSaysSo() throws {
    let tokens = try fixtureTokens("llama3")
    let soup = try openSoup(Self.lora)
    let first = try soup.blend([1, 0, 0])
    let second = try soup.blend([0, 1, 0])
    let session = try Session(first, context: 128, type: nil)
    try session.append(Array(tokens[..<30]))
    try session.compute()
    let pure = session.fingerprint
    let before = try session.last()
    try session.set(second, policy: .keepGoing)
    #expect(session.pendingCount == 0)
    #expect(sameBits(try session.last(), before))
    #expect(session.fingerprint != pure)
    try session.append(Array(tokens[30..<40]))
    try session.compute()
    let mixed = try session.last()
    // Rewound to before the change: the first blend's keys, the second's from here on.
    try session.rewind(to: 20)
    #expect(session.fingerprint != pure)
    try session.rewind(to: 0)
    let secondAlone = try Session(second, context: 128, type: nil)
    #expect(session.fingerprint == secondAlone.fingerprint)
    // The text under the second blend alone is another.
    try session.append(Array(tokens[..<40]))
    try session.compute()
    #expect(!sameBits(try session.last(), mixed))
    // Back and forth without a token in between is no change.
    let still = try Session(first, context: 128, type: nil)
    try still.append(Array(tokens[..<30]))
    try still.compute()
    try still.set(second, policy: .keepGoing)
    try still.set(first, policy: .keepGoing)
    #expect(still.fingerprint == pure)
  }

  @Test func blendOfAnotherSoupIsRefused() throws {
    let session = try openSoup(Self.lora).session([0, 0, 0])
    let stranger = try openSoup(Fixtures.soup("llama3-lora")).blend([0, 0, 0])
    #expect(throws: BoneSoupError.self) { try session.set(stranger, policy: .recompute) }
  }

  @Test func tokensThatDoNotFitChangeNothing() throws {
    let session = try openSoup(Fixtures.model("llama3")).session(context: 10)
    try session.append([1, 2, 3])
    for bad: [Int32] in [[-1], [288], [Int32.max], Array(repeating: 1, count: 8)] {
      #expect(throws: BoneSoupError.self) { try session.append(bad) }
      #expect(session.tokenCount == 3)
    }
    try session.append(Array(repeating: 1, count: 7))
    try session.compute()
    try session.begin(GenerationOptions())
    let step = try session.next()
    #expect(step.finish == .context && step.token == -1 && session.tokenCount == 10)
  }

  @Test func keysOfAnotherTypeAreAnotherState() throws {
    let tokens = try fixtureTokens("llama3")
    let blend = try openSoup(Fixtures.model("llama3")).blend([])
    let sessions = try [CacheFormat.f32, .f16, .bf16].map { try Session(blend, context: 128, type: $0) }
    for session in sessions {
      try session.append(tokens)
      try session.compute()
    }
    #expect(Set(sessions.map(\.fingerprint)).count == 3)
    for session in sessions { #expect(relativeDistance(try session.last(), try sessions[0].last()) < 1e-2) }
  }

  @Test func oneUserAtATime() throws {
    let session = try openSoup(Fixtures.model("llama3")).session()
    let mode = FloatingPointControl.enter()
    defer { mode.leave() }
    try session.acquire(mode)
    #expect(throws: BoneSoupError.self) { try session.acquire(mode) }
    session.release()
    try session.acquire(mode)
  }

  @Test func memoryComesBackWhateverFails() throws {
    let roomy = Allocator(limit: nil, host: nil)
    _ = try openSoup(Fixtures.model("llama3"), allocator: roomy).session()
    var refusals = 0
    for limit in stride(from: 1 << 10, to: 1 << 20, by: 37_000) {
      let allocator = Allocator(limit: limit, host: nil)
      do {
        let session = try openSoup(Fixtures.model("llama3"), allocator: allocator).session()
        try session.append(try fixtureTokens("llama3"))
        try session.compute()
        _ = try session.follow(8)
      } catch BoneSoupError.outOfMemory {
        refusals += 1
      }
      #expect(allocator.bytesInUse == 0)
    }
    #expect(refusals > 3)
  }

  @Test func wrongOptionsLeaveTheSessionAsItWas() throws {
    let session = try openSoup(Fixtures.model("llama3")).session()
    try session.append([1, 2])
    var options = GenerationOptions()
    options.sampling.temperature = -1
    var text = Array("The soup".utf8)
    #expect(throws: BoneSoupError.self) {
      try text.withUnsafeMutableBytes {
        try session.generate(.init(UnsafeRawBufferPointer($0)), options, monitor: .none, onText: nil)
      }
    }
    #expect(session.tokenCount == 2)
  }
}
