import Glibc
import Platform
import Soups
import Synchronization
import TestSupport
import Testing
import Tokenization
import Transformer

@testable import Generation

/// An allocator whose memory runs out after so many more allocations.
private enum Scarce {
  static let left = Atomic<Int>(.max)

  static let host = Allocator.Host(
    allocate: { bytes, alignment, _ in
      guard Scarce.left.wrappingSubtract(1, ordering: .relaxed).newValue >= 0 else { return nil }
      return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
    }, free: { pointer, _, _ in Glibc.free(pointer) }, context: nil)
}

/// Generations that are carried on step by step.
@Suite(.serialized) struct SteppingTests {
  /// llama3 with a tokenizer of letters, alone and with a space before them, whose first piece is spelled unlike the
  /// others.
  private func soup(decoder: String) throws -> (Soup, TemporaryFolder) {
    let folder = try TemporaryFolder()
    for name in ["config.json", "model.safetensors"] {
      try folder.write(name, TemporaryFolder.read(Fixtures.model("llama3") + "/" + name))
    }
    let letters = "abcdefghijklmnopqrstuvwxyz".map(String.init)
    let pieces = ["▁"] + letters + letters.map { "▁" + $0 }
    let vocabulary = pieces.enumerated().map { #""\#($1)": \#($0)"# }.joined(separator: ", ")
    let merges = letters.map { #""▁ \#($0)""# }.joined(separator: ", ")
    try folder.write(
      "tokenizer.json",
      #"{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "#
        + #""decoder": \#(decoder), "model": {"type": "BPE", "vocab": {\#(vocabulary)}, "merges": [\#(merges)]}}"#)
    return (try openSoup(folder.path, threads: 1), folder)
  }

  /// What the tokens at these places add to the text of all.
  private func text(_ session: Session, _ places: [Int]) throws -> [UInt8] {
    var stream = try session.blend.soup.base.requireTokenizer().makeStream(skipSpecial: true)
    var bytes = try Vector<UInt8>(allocator: .system, purpose: "a text")
    var text: [UInt8] = []
    for (place, token) in session.tokenSpan.enumerated() {
      bytes.removeAll()
      try stream.append(token, into: &bytes)
      if places.contains(place) { text += bytes.span }
    }
    return text
  }

  @Test(arguments: [
    #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}"#,
    #"{"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, "#
      + #"{"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}"#,
  ])
  func whatTheHostPutsInBeforeOrBetweenStepsIsContext(_ decoder: String) throws {
    let (soup, folder) = try soup(decoder: decoder)
    defer { withExtendedLifetime(folder) {} }
    let words = Array(27..<53 as Range<Int32>)
    let session = try soup.session()
    var options = GenerationOptions()
    options.ignoresEnd = true
    options.hook = { logits, history in
      logits[Int(words[history.count % words.count])] = 1e9
      return true
    }
    try session.begin(options)
    var places: [Int] = []
    var text: [UInt8] = []
    for appended in [2, 0, 0, 1, 3, 0] {
      try session.append(Array(words.suffix(appended)))
      try session.compute()
      places.append(session.tokenCount)
      _ = try session.next()
      text += try #require(session.generation).stepText
    }
    #expect(text == (try self.text(session, places)))
    #expect(text.first == UInt8(ascii: " "))
    // The first word of a text has no space before it.
    let alone = try soup.session()
    try alone.begin(options)
    try alone.append([words[0]])
    #expect(try self.text(alone, [0]).first != UInt8(ascii: " "))
  }

  @Test func whatTheHostPutsInPartsTheText() throws {
    let soup = try openSoup(Fixtures.model("llama3"), threads: 1)
    func letter(_ character: String) throws -> Int32 {
      var tokens = try Vector<Int32>(allocator: .system, purpose: "tokens")
      var character = character
      try character.withUTF8 {
        try soup.base.requireTokenizer().encode(
          UnsafeRawBufferPointer($0), addSpecial: false, parseSpecial: false, into: &tokens, monitor: .none)
      }
      return tokens[0]
    }
    let script = try ["x", "y", "z", "x", "y", "z"].map(letter)
    func run(_ inserted: Bool) throws -> (text: String, finish: FinishReason) {
      let session = try soup.session()
      try session.append([1])
      var options = GenerationOptions()
      var number = 0
      options.stopStrings = [Array("yz".utf8)]
      options.hook = { logits, _ in
        logits[Int(script[number])] = 1e9
        return true
      }
      try session.begin(options)
      var text: [UInt8] = []
      while number < script.count {
        if inserted, number == 2 { try session.append(script) }
        try session.compute()
        let step = try session.next()
        text += try #require(session.generation).stepText
        if step.finish != .none { return (String(decoding: text, as: UTF8.self), step.finish) }
        number += 1
      }
      return (String(decoding: text, as: UTF8.self), .none)
    }
    let plain = try run(false)
    #expect(plain.text == "x" && plain.finish == .stopString)
    let parted = try run(true)
    #expect(parted.text == "xyzx" && parted.finish == .stopString)
  }

  @Test func aStepWithoutMemoryChangesNothing() throws {
    func session() throws -> Session {
      let allocator = Allocator(limit: nil, host: Scarce.host)
      let session = try openSoup(Fixtures.model("llama3"), threads: 1, allocator: allocator).session()
      try session.append(Array(try fixtureTokens("llama3").prefix(16)))
      var options = GenerationOptions()
      options.stopStrings = [Array("never there".utf8)]
      options.sampling.topLogProbabilities = 3
      options.sampling.temperature = 1
      options.ignoresEnd = true
      try session.begin(options)
      try session.compute()
      return session
    }
    func rest(_ session: Session) throws -> (tokens: [Int32], text: [UInt8]) {
      var tokens: [Int32] = []
      var text: [UInt8] = []
      for _ in 0..<20 {
        if session.pendingCount > 0 { try session.compute() }
        tokens.append(try session.next().token)
        text += try #require(session.generation).stepText
      }
      return (tokens, text)
    }
    defer { Scarce.left.store(.max, ordering: .relaxed) }
    let expected = try rest(try session())
    var failures = 0
    for allowed in 0... {
      let session = try session()
      Scarce.left.store(allowed, ordering: .relaxed)
      let message = failure { try session.next() }
      Scarce.left.store(.max, ordering: .relaxed)
      if message.isEmpty { break }
      failures += 1
      #expect(message.hasPrefix("outOfMemory"))
      #expect(session.tokenCount == 16 && session.pendingCount == 0)
      #expect(session.generation?.tokenCount == 0 && session.generation?.finish == FinishReason.none)
      let after = try rest(session)
      #expect(after.tokens == expected.tokens && after.text == expected.text)
    }
    #expect(failures >= 1)
  }
}
