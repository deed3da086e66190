import Kernels
import Platform
import Soups
import TestSupport
import Testing
import Transformer

@testable import Generation

/// Blends that come in with the response: before it the base computes alone.
@Suite struct ResponseOnlyTests {
  /// A soup, the kind of its blends, and two points.
  struct Case: Sendable, CustomTestStringConvertible {
    let soup: String
    let kind: BlendRequest.Kind
    let points: [[Double]]

    var testDescription: String { "\(soup), \(kind)" }

    static let all = [
      Case(soup: "llama3-lora", kind: .live, points: [[2, -0.5, -0.5], [0.25, 0.25, 0.5]]),
      Case(soup: "llama3-lora", kind: .folded, points: [[2, -0.5, -0.5], [0.25, 0.25, 0.5]]),
      Case(soup: "llama3-full", kind: .folded, points: [[1.5, -0.5], [0.25, 0.75]]),
    ]

    func open() throws -> Soup { try openSoup(Fixtures.soup(soup)) }
  }

  private static func prompt() throws -> [Int32] { Array(try fixtureTokens("llama3").prefix(30)) }

  private static func options() -> GenerationOptions {
    var options = GenerationOptions()
    options.ignoresEnd = true
    options.isResponseOnly = true
    return options
  }

  /// Appends the prompt and computes it with a response-only blend.
  private func response(_ session: Session, _ prompt: [Int32]) throws {
    try session.append(prompt)
    try session.begin(Self.options())
    try session.compute()
  }

  /// The same by hand: the base's session goes on with the blend.
  private func twoPhases(_ soup: Soup, _ blend: Blend, _ prompt: [Int32]) throws -> Session {
    let session = try soup.session(soup.backbones.map { _ in 0 }, .live)
    try session.append(prompt.dropLast())
    try session.compute()
    try session.set(blend, policy: .keepGoing)
    try session.append(prompt.suffix(1))
    try session.compute()
    return session
  }

  private func expectSame(_ one: Session, _ other: Session, _ note: Comment? = nil) throws {
    #expect(sameBits(try one.last(), try other.last()), note)
    #expect(one.fingerprint == other.fingerprint, note)
    let count = one.tokenCount
    let (next, expected) = (try one.fork(), try other.fork())
    #expect(try next.follow(6) == (try expected.follow(6)), note)
    #expect(sameBits(try next.lastOfDecode(), try expected.lastOfDecode()), note)
    #expect(one.tokenCount == count, note)
  }

  @Test(arguments: Case.all) func itIsTheBaseGoingOnWithTheBlend(_ example: Case) throws {
    let soup = try example.open()
    let prompt = try Self.prompt()
    for point in example.points {
      let blend = try soup.blend(point, example.kind)
      let session = try Session(blend, context: 128, type: nil)
      try response(session, prompt)
      #expect(session.responseStart == prompt.count - 1)
      try expectSame(session, try twoPhases(soup, blend, prompt))
      let whole = try Session(blend, context: 128, type: nil)
      try whole.append(prompt)
      try whole.compute()
      #expect(!sameBits(try whole.last(), try session.last()) && whole.fingerprint != session.fingerprint)
    }
  }

  @Test(arguments: Case.all) func onePromptServesManyPreferences(_ example: Case) throws {
    let soup = try example.open()
    let prompt = try Self.prompt()
    let parent = try soup.session(example.points[0], example.kind)
    try response(parent, prompt)
    var forks: [Session] = []
    for point in example.points {
      let fork = try parent.fork()
      try fork.set(try soup.blend(point, example.kind), policy: .recompute)
      // The base's positions stay. The same blend has nothing to compute again.
      #expect(fork.pendingCount <= 1 && fork.responseStart == prompt.count - 1)
      forks.append(fork)
    }
    #expect(forks[1].pendingCount == 1)
    #expect(Decoding.run(forks, monitor: .none).allSatisfy { $0 == nil })
    for (fork, point) in zip(forks, example.points) {
      let fresh = try soup.session(point, example.kind)
      try response(fresh, prompt)
      try expectSame(fork, fresh)
    }
  }

  @Test(arguments: Case.all) func aRewoundPromptIsStillTheBases(_ example: Case) throws {
    let soup = try example.open()
    let prompt = try Self.prompt()
    let blend = try soup.blend(example.points[0], example.kind)
    let session = try Session(blend, context: 128, type: nil)
    try response(session, prompt)
    try session.rewind(to: 12)
    let other = Array(try fixtureTokens("llama3")[30..<50])
    try session.append(other)
    try session.compute()
    let text = Array(prompt[..<12]) + other
    let expected = try twoPhases(soup, blend, Array(text[..<prompt.count]))
    try expected.append(Array(text[prompt.count...]))
    try expected.compute()
    try expectSame(session, expected)
    // The blend that is set again computes the response alone.
    try session.set(try soup.blend(example.points[1], example.kind), policy: .recompute)
    #expect(session.computed == prompt.count - 1)
    try session.rewind(to: 0)
    #expect(session.responseStart == 0)
    try session.append(prompt)
    try session.compute()
    let whole = try soup.session(example.points[1], example.kind)
    try whole.append(prompt)
    try whole.compute()
    try expectSame(session, whole)
  }

  @Test(arguments: Case.all, [1, 3, 1000]) func companyAndPiecesChangeNoBit(_ example: Case, _ rows: Int) throws {
    let soup = try example.open()
    let prompt = try Self.prompt()
    let blends = try example.points.map { try soup.blend($0, example.kind) }
    func make() throws -> [Session] {
      try (0..<6).map { number in
        let session = try Session(blends[number % 2], context: 128, type: nil)
        try session.append(Array(prompt.prefix(10 + number * 3)))
        // A folded blend's own group stands before the base's where the first session is not response-only.
        if number % 3 != 0 { try session.begin(Self.options()) }
        return session
      }
    }
    let together = try make()
    var options = Decoding.Options()
    options.maximumRows = rows
    while together.contains(where: { $0.pendingCount > 0 }) {
      #expect(Decoding.run(together, options: options, monitor: .none).allSatisfy { $0 == nil })
    }
    for (one, other) in zip(together, try make()) {
      try other.compute()
      try expectSame(one, other)
    }
  }

  @Test func everyTurnIsAnsweredAsIfItWereTheFirst() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"))
    let point = [2, -0.5, -0.5]
    let session = try soup.session(point)
    func turn(_ session: Session, _ text: String) throws -> [Int32] {
      var options = Self.options()
      options.maximumTokens = 5
      var text = text
      return try text.withUTF8 {
        var prompt = Session.Prompt(UnsafeRawBufferPointer($0))
        prompt.addsSpecial = false
        let (result, failure) = try session.generate(prompt, options, monitor: .none, onText: nil)
        #expect(failure == nil && result.fingerprint == session.fingerprint.description)
        return Array(result.tokenSpan)
      }
    }
    _ = try turn(session, "Once upon a time")
    let before = Array(session.tokenSpan)
    let answer = try turn(session, " and then")
    let start = session.tokenCount - 6
    #expect(session.responseStart == start)
    let fresh = try soup.session(point)
    try fresh.append(before)
    #expect(try turn(fresh, " and then") == answer)
    try session.compute()
    try fresh.compute()
    try expectSame(session, fresh)
  }

  @Test(arguments: Case.all) func itMayBeginAgainBeforeThePromptIsComputed(_ example: Case) throws {
    let soup = try example.open()
    let prompt = try Self.prompt()
    let session = try soup.session(example.points[0], example.kind)
    try session.append(Array(prompt.prefix(10)))
    try session.begin(Self.options())
    try session.append(Array(prompt[10...]))
    for rows in [nil, 4, 12, 20] as [Int?] {
      var options = Decoding.Options()
      options.maximumRows = rows
      if rows != nil { #expect(Decoding.run([session], options: options, monitor: .none)[0] == nil) }
      try session.begin(Self.options())
      try session.set(try soup.blend(example.points[1], example.kind), policy: .recompute)
    }
    try session.compute()
    let fresh = try soup.session(example.points[1], example.kind)
    try response(fresh, prompt)
    try expectSame(session, fresh)
  }

  @Test func aPromptIsNeeded() throws {
    let session = try openSoup(Fixtures.soup("llama3-lora")).session([1, 0, 0])
    #expect(failure { try session.begin(Self.options()) }.hasPrefix("notReady: the session is empty"))
    try session.append([7])
    try session.begin(Self.options())
    #expect(session.responseStart == 0)
  }
}

extension Session {
  /// The logits of the last computed token.
  fileprivate func lastOfDecode() throws -> [Float] { Array(try logits(after: computed - 1)) }

  fileprivate func append(_ new: ArraySlice<Int32>) throws { try append(Array(new)) }
}
