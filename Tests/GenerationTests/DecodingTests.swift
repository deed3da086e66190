import Kernels
import Platform
import Soups
import TestSupport
import Testing
import Transformer

@testable import Generation

@Suite struct DecodingTests {
  /// Different texts, lengths and coefficients.
  private func mixed(_ soup: Soup, _ count: Int, _ kind: BlendRequest.Kind) throws -> [Session] {
    let tokens = try fixtureTokens("llama3")
    return try (0..<count).map { number in
      let share = Double(number) / Double(count)
      let session = try soup.session([2 * share - 0.5, 1 - share, -share], kind)
      try session.append(Array(tokens[number % 7..<20 + number % 40]))
      return session
    }
  }

  @Test func sixteenPreferencesInOneBatchHaveTheBitsOfEachAlone() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"), threads: 4)
    let together = try mixed(soup, 16, .live) + mixed(soup, 3, .folded)
    #expect(Decoding.run(together, monitor: .none).allSatisfy { $0 == nil })
    let alone = try mixed(try openSoup(Fixtures.soup("llama3-lora"), threads: 1), 16, .live) + mixed(soup, 3, .folded)
    for (one, other) in zip(together, alone) {
      try other.compute()
      #expect(sameBits(try one.last(), try other.last()))
      #expect(try one.follow(4) == (try other.follow(4)))
    }
  }

  @Test(arguments: [1, 2, 7, 64, 1000])
  func rowsAreSharedFairlyAndChangeNoBit(_ rows: Int) throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"))
    let sessions = try mixed(soup, 5, .live)
    let whole = try mixed(soup, 5, .live)
    #expect(Decoding.run(whole, monitor: .none).allSatisfy { $0 == nil })
    var options = Decoding.Options()
    options.maximumRows = rows
    let total = sessions.reduce(0) { $0 + $1.pendingCount }
    var calls = 0
    while sessions.contains(where: { $0.pendingCount > 0 }) {
      let before = sessions.reduce(0) { $0 + $1.pendingCount }
      #expect(Decoding.run(sessions, options: options, monitor: .none).allSatisfy { $0 == nil })
      #expect(before - sessions.reduce(0) { $0 + $1.pendingCount } == min(rows, before))
      calls += 1
      if rows == 1, calls == 5 { #expect(sessions.contains { $0.computed > 0 }) }
    }
    #expect(calls == (total + rows - 1) / rows)
    for (one, other) in zip(sessions, whole) { #expect(sameBits(try one.last(), try other.last())) }
  }

  @Test func logitsOfEveryPositionAreKeptWhereAsked() throws {
    let file = try FloatTensors(Fixtures.model("llama3") + "/expected.safetensors")
    let tokens = try file.tokens("tokens")
    let expected = try file["logits"]
    let session = try openSoup(Fixtures.model("llama3")).session()
    try session.append(tokens)
    var options = Decoding.Options()
    options.keepsAllLogits = true
    #expect(Decoding.run([session], options: options, monitor: .none)[0] == nil)
    for position in tokens.indices {
      let wanted = expected[position * 288..<(position + 1) * 288]
      #expect(relativeDistance(Array(try session.logits(after: position)), wanted) < 1e-4)
    }
    #expect(throws: BoneSoupError.self) { try session.logits(after: tokens.count) }
    try session.append([1])
    try session.compute()
    #expect(throws: BoneSoupError.self) { try session.logits(after: 3) }
  }

  @Test func moreSessionsThanRowsOfAPass() throws {
    let soup = try openSoup(Fixtures.model("llama3"))
    let sessions = try (0..<ForwardPass.maximumRows + 10).map { number in
      let session = try soup.session(context: 8)
      try session.append([Int32(number), 5])
      return session
    }
    #expect(Decoding.run(sessions, monitor: .none).allSatisfy { $0 == nil })
    let alone = try soup.session(context: 8)
    try alone.append([Int32(sessions.count - 1), 5])
    try alone.compute()
    #expect(sameBits(try sessions[sessions.count - 1].last(), try alone.last()))
  }

  @Test func cancelKeepsWhatWasComputedWhole() throws {
    let tokens = try fixtureTokens("llama3")
    let soup = try openSoup(Fixtures.model("llama3"))
    func make() throws -> [Session] {
      try (0..<2).map { _ in
        let session = try soup.session(context: 256)
        for _ in 0..<256 / tokens.count { try session.append(tokens) }
        return session
      }
    }
    let sessions = try make()
    // More than one pass, and less than the whole.
    try #require(sessions[0].tokenCount * 2 > ForwardPass.maximumRows)
    let token = try CancelToken.make()
    defer { token.release() }
    let monitor = Monitor(token: token) { share in
      if share > 0.4 { token.cancel() }
      return true
    }
    #expect(Decoding.run(sessions, monitor: monitor).allSatisfy { $0 == .cancelled })
    #expect(sessions.allSatisfy { $0.computed > 0 && $0.pendingCount > 0 })
    for (session, fresh) in zip(sessions, try make()) {
      try session.compute()
      try fresh.compute()
      #expect(sameBits(try session.last(), try fresh.last()))
    }
  }

  @Test func manyLongTextsDoNotHoldUpAShortOne() throws {
    let soup = try openSoup(Fixtures.model("llama3"))
    let sessions = try (0...ForwardPass.maximumRows).map { number in
      let session = try soup.session(context: 32)
      try session.append(number < ForwardPass.maximumRows ? Array(repeating: 7, count: 20) : [9])
      return session
    }
    // After the first pass, in which everybody but one had a row, and the second.
    let total = ForwardPass.maximumRows * 20 + 1
    let failures = Decoding.run(
      sessions, monitor: Monitor(token: nil) { $0 * Double(total) < 1.5 * Double(ForwardPass.maximumRows) })
    #expect(failures[0] == .cancelled && sessions[0].pendingCount > 0)
    #expect(sessions[ForwardPass.maximumRows].pendingCount == 0)
  }

  @Test func sessionsOfSeveralSoupsAndEnginesGoTogether() throws {
    let soups = [
      try openSoup(Fixtures.soup("llama3-lora")), try openSoup(Fixtures.soup("qwen2-lora")),
      try openSoup(Fixtures.soup("llama3-full"), threads: 1), try openSoup(Fixtures.model("smollm"), threads: 3),
    ]
    func make() throws -> [Session] {
      try (0..<8).map { number in
        let soup = soups[number % 4]
        let session = try soup.session(soup.backbones.map { _ in 0.25 * Double(number) })
        try session.append((0..<10 + Int32(number)).map { $0 * 7 % 100 })
        return session
      }
    }
    let together = try make()
    #expect(Decoding.run(together, monitor: .none).allSatisfy { $0 == nil })
    for (one, other) in zip(together, try make()) {
      try other.compute()
      #expect(sameBits(try one.last(), try other.last()))
    }
  }

  @Test func oneWithoutMemoryIsLeftOutAndTheOthersGoOn() throws {
    let allocator = Allocator(limit: 8 << 20, host: nil)
    let tight = try openSoup(Fixtures.model("llama3"), allocator: allocator).session(context: 256)
    let roomy = try openSoup(Fixtures.model("llama3")).session(context: 256)
    let tokens = try fixtureTokens("llama3")
    for session in [tight, roomy] { for _ in 0..<3 { try session.append(tokens) } }
    let ballast = try Buffer(
      byteCount: (8 << 20) - allocator.bytesInUse - 1000, allocator: allocator, purpose: "what fills the budget")
    let failures = Decoding.run([tight, roomy], monitor: .none)
    guard case .outOfMemory = failures[0] else {
      Issue.record("\(String(describing: failures[0]))")
      return
    }
    #expect(failures[1] == nil && tight.computed == 0 && roomy.pendingCount == 0)
    withExtendedLifetime(ballast) {}
  }

  @Test func threadsMayDecodeTheirOwnSessionsAtTheSameTime() async throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"), threads: 3)
    let tokens = try fixtureTokens("llama3")
    let alone = try soup.session([0.5, 0.5, -1])
    try alone.append(tokens)
    let parent = try alone.fork()
    try alone.compute()
    let expected = try alone.last()
    try parent.rewind(to: 40)
    try parent.compute()
    await withTaskGroup(of: Bool.self) { group in
      // Forks share the blocks of the first 40 positions.
      let forks = (0..<6).compactMap { _ in try? parent.fork() }
      for fork in forks {
        group.addTask {
          do {
            try fork.append(Array(tokens[40...]))
            try fork.compute()
            return sameBits(try fork.last(), expected)
          } catch { return false }
        }
      }
      for await same in group { #expect(same) }
    }
  }

  @Test func fewerRowsThanSessionsGiveEachItsTurn() throws {
    let soup = try openSoup(Fixtures.model("llama3"))
    let sessions = try (0..<5).map { number in
      let session = try soup.session()
      try session.append([Int32(number)])
      return session
    }
    var options = Decoding.Options()
    options.maximumRows = 2
    for _ in 0..<10 {
      #expect(Decoding.run(sessions, options: options, monitor: .none).allSatisfy { $0 == nil })
      for session in sessions where session.pendingCount == 0 { try session.append([7]) }
    }
    #expect(sessions.allSatisfy { (3...5).contains($0.computed) })
  }
}
