import Glibc
import Kernels
import Platform
import Soups
import TestSupport
import Testing
import Transformer

@testable import Generation

@Suite struct BatchGenerationTests {
  /// Sessions with generations that were begun: prompts, blends, seeds and limits all differ.
  private func begun(_ soup: Soup, _ count: Int) throws -> [Session] {
    let tokens = try fixtureTokens("llama3")
    let blends = try (0..<6).map { number in
      let share = Double(number) / 6
      return try soup.blend([2 * share - 0.5, 1 - share, -share], number == 4 ? .folded : .live)
    }
    return try (0..<count).map { number in
      let session = try Session(blends[number % blends.count], context: 128, type: nil)
      try session.append(Array(tokens[number % 9..<10 + number % 40]))
      try session.begin(options(number))
      return session
    }
  }

  private func options(_ number: Int) -> GenerationOptions {
    var options = GenerationOptions()
    options.maximumTokens = 3 + number % 17
    options.ignoresEnd = number % 2 == 0
    options.sampling.seed = UInt64(number)
    options.sampling.temperature = [1, 0, 0.8][number % 3]
    options.sampling.topP = number % 5 == 0 ? 0.9 : 1
    options.sampling.topLogProbabilities = number % 4
    return options
  }

  /// The loop that the batch stands for, for one session.
  private func follow(_ session: Session) throws -> (tokens: [Int32], logProbabilities: [Float], finish: FinishReason) {
    var (tokens, logProbabilities): ([Int32], [Float]) = ([], [])
    while true {
      try session.compute()
      let step = try session.next()
      tokens.append(step.token)
      logProbabilities.append(step.logProbability)
      if step.finish != .none { return (tokens, logProbabilities, step.finish) }
    }
  }

  @Test(arguments: [1, 2, 5]) func textsAreThoseOfEachSessionAlone(threads: Int) throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"), threads: threads)
    for count in [1, 7, 100] {
      let together = BatchGeneration.run(try begun(soup, count), monitor: .none)
      #expect(together.count == count)
      for (outcome, session) in zip(together, try begun(soup, count)) {
        let prompt = session.tokenCount
        let alone = try follow(session)
        let text = try #require(outcome.text)
        #expect(outcome.failure == nil && text.finish == alone.finish && text.promptTokenCount == prompt)
        #expect(Array(text.tokenSpan) == alone.tokens)
        #expect(sameBits(Array(text.logProbabilitySpan), alone.logProbabilities))
        #expect(text.topSpan.count == text.topCount * alone.tokens.count)
        #expect(text.fingerprint == session.fingerprint.description)
      }
    }
  }

  @Test func sessionsThatFailLeaveTheOthersAlone() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"))
    var sessions = try begun(soup, 40)
    let empty = try soup.session([0, 0, 0])
    let full = try soup.session([0, 0, 0], context: 12)
    try full.append(Array(try fixtureTokens("llama3")[0..<12]))
    let over = try soup.session([0, 0, 0])
    try over.append([1])
    try over.begin(options(0))
    _ = try follow(over)
    sessions += [empty, full, over]
    let outcomes = BatchGeneration.run(sessions, monitor: .none)
    #expect(outcomes[..<40].allSatisfy { $0.failure == nil && $0.text?.finish != FinishReason.none })
    guard case .notReady = outcomes[40].failure else { return #expect(Bool(false), "of an empty session") }
    #expect(outcomes[41].failure == nil && outcomes[41].text?.finish == .context)
    guard case .invalidArgument = outcomes[42].failure else { return #expect(Bool(false), "of a finished one") }
    #expect(BatchGeneration.run([], monitor: .none).isEmpty)
  }

  @Test func callbacksRunOnTheCallersThread() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"), threads: 4)
    let caller = pthread_self()
    let sessions = try begun(soup, 30)
    var hooked = options(0)
    hooked.hook = { logits, _ in
      logits[3] = 1e9
      return pthread_equal(pthread_self(), caller) != 0
    }
    try sessions[11].begin(hooked)
    var shares: [Double] = []
    let monitor = Monitor(token: nil) { share in
      shares.append(pthread_equal(pthread_self(), caller) != 0 ? share : -1)
      return true
    }
    let outcomes = BatchGeneration.run(sessions, monitor: monitor)
    #expect(outcomes.allSatisfy { $0.failure == nil })
    #expect(outcomes[11].text?.tokenSpan.allSatisfy { $0 == 3 } == true)
    #expect(shares.last == 1 && shares == shares.sorted() && shares.first.map { $0 >= 0 } == true)
  }

  @Test(arguments: [1, 3]) func aCancelEndsAllAndLeavesTheSessionsUsable(threads: Int) throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"), threads: threads)
    let sessions = try begun(soup, 50)
    var calls = 0
    let monitor = Monitor(token: nil) { _ in
      calls += 1
      return calls < 3
    }
    let outcomes = BatchGeneration.run(sessions, monitor: monitor)
    let cancelled = outcomes.filter { $0.failure != nil }
    #expect(!cancelled.isEmpty && cancelled.allSatisfy { $0.failure == .cancelled })
    #expect(cancelled.allSatisfy { ($0.text?.finish ?? .cancelled) == .cancelled })
    let again = try begun(soup, 50)
    for (session, other) in zip(sessions, again) {
      let before = session.tokenCount - other.tokenCount
      var more = options(0)
      more.maximumTokens = 4
      try session.begin(more)
      #expect(try follow(session).tokens.count == 4 && before >= 0)
    }
  }
}
