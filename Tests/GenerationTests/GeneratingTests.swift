import Glibc
import Kernels
import Platform
import Soups
import TestSupport
import Testing
import Tokenization
import Transformer

@testable import Generation

/// What one call gave.
private struct Outcome {
  var text: [UInt8]
  var tokens: [Int32]
  var logProbabilities: [Float]
  var top: [TokenProbability]
  var finish: FinishReason
  var failure: BoneSoupError?
  /// As it was streamed.
  var pieces: [[UInt8]]
  var result: GeneratedText

  var string: String { String(decoding: text, as: UTF8.self) }
}

extension Session {
  fileprivate func generate(
    _ prompt: String, adds: Bool = true, monitor: Monitor = .none, until stop: Int = .max,
    _ change: (inout GenerationOptions) -> Void = { _ in }
  ) throws -> Outcome {
    var options = GenerationOptions()
    options.maximumTokens = 24
    change(&options)
    var pieces: [[UInt8]] = []
    var prompt = prompt
    let (result, failure) = try prompt.withUTF8 { utf8 throws in
      var prompt = Prompt(UnsafeRawBufferPointer(utf8))
      prompt.addsSpecial = adds
      return try generate(prompt, options, monitor: monitor) {
        pieces.append(Array($0))
        return pieces.count < stop
      }
    }
    return Outcome(
      text: Array(result.textSpan), tokens: Array(result.tokenSpan), logProbabilities: Array(result.logProbabilitySpan),
      top: Array(result.topSpan), finish: result.finish, failure: failure, pieces: pieces, result: result)
  }
}

/// The natural logarithm of each probability, in Double.
private func logProbabilities(_ logits: [Float]) -> [Double] {
  let greatest = Double(logits.max() ?? 0)
  let sum = logits.reduce(0.0) { $0 + exp(Double($1) - greatest) }
  return logits.map { Double($0) - greatest - log(sum) }
}

/// Where the earliest end of `needle` is, and how much text stands before it.
private func prefix(of text: [UInt8], before needle: [UInt8]) -> [UInt8]? {
  for end in needle.count...max(needle.count, text.count) where end <= text.count {
    if Array(text[(end - needle.count)..<end]) == needle { return Array(text[..<(end - needle.count)]) }
  }
  return nil
}

@Suite struct GeneratingTests {
  /// Ten tokens, the one that begins a text included.
  private static let prompt = "Once upon a time"

  private func session(context: Int = 128, threads: Int = 1) throws -> Session {
    try openSoup(Fixtures.model("llama3"), threads: threads).session(context: context)
  }

  @Test(arguments: Fixtures.models)
  func greedyTokensEqualTransformers(_ name: String) throws {
    let file = try FloatTensors(Fixtures.model(name) + "/expected.safetensors")
    var options = OpenOptions()
    options.format = .f32
    let engine = Engine(pool: ThreadPool(threadCount: 2), allocator: .system)
    let soup = try Soup.open(Fixtures.model(name), options: options, engine: engine, monitor: .none)
    let session = try soup.session()
    try session.append(Array(try file.tokens("tokens").prefix(8)))
    let expected = try file.tokens("greedy")
    #expect(try session.follow(expected.count) == expected)
  }

  @Test func streamedTextIsTheTextOfAllTokens() throws {
    for seed in 0..<6 as Range<UInt64> {
      let session = try session()
      let outcome = try session.generate(Self.prompt) {
        $0.sampling.temperature = 1.5
        $0.sampling.seed = seed
        $0.ignoresEnd = true
        $0.maximumTokens = 60
      }
      #expect(outcome.finish == .length && outcome.failure == nil && outcome.tokens.count == 60)
      #expect(outcome.pieces.flatMap { $0 } == outcome.text)
      let tokenizer = try session.blend.soup.base.requireTokenizer()
      var decoded = try Vector<UInt8>(allocator: .system, purpose: "a text")
      try outcome.tokens.withUnsafeBufferPointer { try tokenizer.decode($0, skipSpecial: true, into: &decoded) }
      #expect(Array(decoded.span) == outcome.text)
      for piece in outcome.pieces { #expect(String(validating: piece, as: UTF8.self) != nil) }
      #expect(Array(session.tokenSpan.suffix(60)) == outcome.tokens && session.pendingCount == 1)
      let prompt = session.tokenCount - 60
      #expect(outcome.result.promptTokenCount == prompt && outcome.result.prefilledTokenCount == prompt)
      #expect(outcome.result.fingerprint == session.fingerprint.description)
      #expect(session.tokenSpan[0] == 284)
    }
  }

  @Test func oneTokenAtATimeIsTheSameText() throws {
    let whole = try session().generate(Self.prompt)
    let session = try session()
    var prompt = Self.prompt
    _ = try prompt.withUTF8 {
      try session.append(text: UnsafeRawBufferPointer($0), addSpecial: true, parseSpecial: false, monitor: .none)
    }
    var options = GenerationOptions()
    options.maximumTokens = 24
    try session.begin(options)
    var text: [UInt8] = []
    var tokens: [Int32] = []
    #expect(failure { try session.next() }.contains("pending tokens: decode first"))
    while true {
      try session.compute()
      let step = try session.next()
      tokens.append(step.token)
      text += try #require(session.generation).stepText
      if step.finish != .none { break }
    }
    #expect(tokens == whole.tokens && text == whole.text)
    #expect(failure { try session.next() } == "invalidArgument: the generation has finished; begin another")
  }

  @Test func aSecondTurnGoesOnFromTheFirst() throws {
    let session = try session()
    let first = try session.generate(Self.prompt) { $0.maximumTokens = 5 }
    let second = try session.generate(" and then") { $0.maximumTokens = 5 }
    #expect(second.result.prefilledTokenCount == second.result.promptTokenCount + 1)
    let fresh = try self.session()
    try fresh.append(Array(session.tokenSpan.dropLast(5)))
    #expect(try fresh.follow(5) == second.tokens)
    #expect(first.tokens.count == 5)
  }

  @Test func aStopStringEndsTheTextBeforeItself() throws {
    let whole = try session().generate(Self.prompt)
    let characters = Array(whole.string)
    try #require(characters.count > 8)
    for (start, length) in [(0, 1), (3, 1), (3, 2), (5, 3)] {
      let stop = Array(String(characters[start..<start + length]).utf8)
      let session = try session()
      let outcome = try session.generate(Self.prompt) { $0.stopStrings = [Array("never there".utf8), stop] }
      #expect(outcome.finish == .stopString)
      #expect(outcome.text == prefix(of: whole.text, before: stop))
      #expect(outcome.pieces.flatMap { $0 } == outcome.text)
      // Tokens are the truth: those of the stop string stay.
      #expect(outcome.tokens == Array(whole.tokens.prefix(outcome.tokens.count)))
      #expect(Array(session.tokenSpan.suffix(outcome.tokens.count)) == outcome.tokens)
    }
    let none = try session().generate(Self.prompt) { $0.stopStrings = [Array("never there".utf8)] }
    #expect(none.finish == .length && none.text == whole.text)
  }

  @Test func aStopTokenEndsTheTextWithoutItsOwn() throws {
    let whole = try session().generate(Self.prompt)
    let token = whole.tokens[7]
    let count = try #require(whole.tokens.firstIndex(of: token)) + 1
    let outcome = try session().generate(Self.prompt) { $0.stopTokens = [token] }
    #expect(outcome.finish == .stopToken && outcome.tokens == Array(whole.tokens.prefix(count)))
    let before = try session().generate(Self.prompt) { $0.maximumTokens = count - 1 }
    #expect(outcome.text == before.text)
  }

  @Test func endTokensOfBothFilesEndTheTextUnlessIgnored() throws {
    for end in [285, 287] as [Int32] {
      func force(_ options: inout GenerationOptions) {
        options.hook = { logits, history in
          if history.count == 20 { logits[Int(end)] = 1e9 }
          return true
        }
      }
      let session = try session()
      let outcome = try session.generate(Self.prompt, force)
      #expect(outcome.finish == .end && outcome.tokens.last == end && session.tokenCount == 21)
      // What it was worth to the model, not to the hook.
      #expect(outcome.logProbabilities.last ?? 0 < -0.1)
      let ignored = try self.session().generate(Self.prompt) {
        force(&$0)
        $0.ignoresEnd = true
      }
      #expect(ignored.finish == .length && ignored.tokens.count == 24 && ignored.tokens.contains(end))
      // It has no text of its own.
      #expect(ignored.text.starts(with: outcome.text))
    }
  }

  @Test func aFullContextEndsTheText() throws {
    let session = try session(context: 20)
    let outcome = try session.generate(Self.prompt) { $0.maximumTokens = nil }
    #expect(outcome.finish == .context && outcome.failure == nil && session.tokenCount == 20)
    #expect(outcome.tokens.count == 20 - outcome.result.promptTokenCount)
    #expect(outcome.pieces.flatMap { $0 } == outcome.text)
    #expect(failure { try session.generate("more") }.hasPrefix("contextFull"))
    let again = try session.generate("", adds: false)
    #expect(again.finish == .context && again.tokens.isEmpty)
  }

  @Test func aHookSeesTheModelsLogitsAndTheTextSoFar() throws {
    let plain = try session().generate(Self.prompt) { $0.maximumTokens = 6 }
    var counts: [Int] = []
    let session = try session()
    let hooked = try session.generate(Self.prompt) {
      $0.maximumTokens = 6
      $0.hook = { logits, history in
        counts.append(history.count)
        let best = logits.indices.max { logits[$0] < logits[$1] }
        if let best, history.count == 13 { logits[best] = -.infinity }
        return true
      }
    }
    let start = session.tokenCount - 6
    #expect(counts == Array(start..<start + 6))
    #expect(Array(hooked.tokens.prefix(13 - start)) == Array(plain.tokens.prefix(13 - start)))
    #expect(hooked.tokens[13 - start] != plain.tokens[13 - start])
  }

  @Test func aHookMayEndTheText() throws {
    let session = try session()
    let outcome = try session.generate(Self.prompt) { $0.hook = { _, history in history.count < 20 } }
    #expect(outcome.failure == .cancelled && outcome.finish == .cancelled && session.tokenCount == 20)
    // The session is as it was, and can go on.
    let whole = try self.session().generate(Self.prompt)
    #expect(outcome.tokens == Array(whole.tokens.prefix(outcome.tokens.count)))
    let rest = try session.generate("", adds: false) { $0.maximumTokens = 24 - outcome.tokens.count }
    #expect(outcome.tokens + rest.tokens == whole.tokens)
  }

  @Test func aCancelAndACallbackEndTheText() throws {
    let token = try CancelToken.make()
    defer { token.release() }
    let monitor = Monitor(token: token, progress: nil)
    let session = try session()
    let cancelled = try session.generate(Self.prompt, monitor: monitor) {
      $0.hook = { _, history in
        if history.count == 19 { token.cancel() }
        return true
      }
    }
    #expect(cancelled.failure == .cancelled && cancelled.finish == .cancelled && session.tokenCount == 20)
    #expect(failure { try self.session().generate(Self.prompt, monitor: monitor) }.hasPrefix("cancelled"))
    let stopped = try self.session().generate(Self.prompt, until: 3)
    #expect(stopped.finish == .callback && stopped.failure == nil && stopped.pieces.count == 3)
    #expect(stopped.pieces.flatMap { $0 } == stopped.text)
  }

  @Test func logProbabilitiesAreTheModelsOwn() throws {
    let session = try session()
    let outcome = try session.generate(Self.prompt) {
      $0.maximumTokens = 8
      $0.sampling.topLogProbabilities = 4
      $0.sampling.temperature = 2
      $0.sampling.logitBias = [LogitBias(token: 40, bias: 5)]
      $0.sampling.seed = 9
      $0.ignoresEnd = true
    }
    #expect(outcome.tokens.count == 8 && outcome.logProbabilities.count == 8 && outcome.top.count == 32)
    let reference = try self.session()
    try reference.append(Array(session.tokenSpan))
    var options = Decoding.Options()
    options.keepsAllLogits = true
    #expect(Decoding.run([reference], options: options, monitor: .none)[0] == nil)
    for number in 0..<8 {
      let place = session.tokenCount - 8 + number - 1
      let logs = logProbabilities(Array(try reference.logits(after: place)))
      let token = Int(outcome.tokens[number])
      #expect((logs[token] - Double(outcome.logProbabilities[number])).magnitude < 1e-4)
      let best = logs.indices.sorted { logs[$0] > logs[$1] }.prefix(4)
      let top = outcome.top[number * 4..<number * 4 + 4]
      #expect(top.map { Int($0.token) } == Array(best))
      for (entry, index) in zip(top, best) { #expect((logs[index] - Double(entry.logProbability)).magnitude < 1e-4) }
    }
  }

  @Test func aSeedIsAText() throws {
    func tokens(_ seed: UInt64, threads: Int = 1) throws -> [Int32] {
      try session(threads: threads).generate(Self.prompt) {
        $0.sampling.temperature = 1
        $0.sampling.seed = seed
        $0.ignoresEnd = true
      }.tokens
    }
    #expect(try tokens(1) == tokens(1, threads: 3))
    #expect(try Set((0..<8).map { try tokens($0) }).count == 8)
  }

  @Test func aRewoundOrForkedSessionDrawsTheSameNumbers() throws {
    let session = try session()
    func options(_ options: inout GenerationOptions) {
      options.sampling.temperature = 1
      options.sampling.seed = 77
      options.ignoresEnd = true
    }
    let first = try session.generate(Self.prompt, options)
    let start = session.tokenCount - first.tokens.count
    let fork = try session.fork()
    try fork.rewind(to: start)
    #expect(try fork.generate("", adds: false, options).tokens == first.tokens)
    try session.rewind(to: start + 10)
    let rest = try session.generate("", adds: false) {
      options(&$0)
      $0.maximumTokens = first.tokens.count - 10
    }
    #expect(rest.tokens == Array(first.tokens.dropFirst(10)))
  }

  @Test func nothingToFollowIsSaid() throws {
    #expect(
      failure { try session().generate("", adds: false) }.hasPrefix("notReady: the session and the prompt are empty"))
    #expect(failure { try session().next() }.hasPrefix("notReady: the session is empty"))
    #expect(try session().generate("").tokens.count == 24)
    let none = try session().generate(Self.prompt) { $0.maximumTokens = 0 }
    #expect(none.finish == .length && none.tokens.isEmpty && none.text.isEmpty)
    let bare = try openSoup(Fixtures.model("llama2")).session()
    #expect(failure { try bare.generate(Self.prompt) }.contains("has no tokenizer.json"))
  }

  @Test func optionsThatDoNotFitAreRefused() throws {
    let session = try session()
    #expect(
      failure { try session.generate(Self.prompt) { $0.stopTokens = [288] } }
        .contains("the stop token 288 is not in the model's vocabulary of 288"))
    #expect(
      failure { try session.generate(Self.prompt) { $0.stopTokens = Array(repeating: 1, count: 257) } }
        .contains("there are 257 stop tokens"))
    #expect(failure { try session.generate(Self.prompt) { $0.stopStrings = [[]] } }.contains("stop string 0"))
    #expect(failure { try session.generate(Self.prompt) { $0.sampling.temperature = .nan } }.contains("temperature"))
  }
}
