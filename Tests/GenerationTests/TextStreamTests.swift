import Platform
import TestSupport
import Testing

@testable import Generation

@Suite struct TextStreamTests {
  private struct Outcome: Equatable {
    var text: [UInt8]
    var stop: Int?
  }

  /// Feeds the chunks; checks that what came out at each step is whole characters.
  private static func run(_ chunks: [[UInt8]], stops: [String]) throws -> Outcome {
    var stream = TextStream(stops: try StopMatcher(stops.map { Array($0.utf8) }))
    var text = try Vector<UInt8>(allocator: .system, purpose: "text")
    for chunk in chunks {
      try chunk.withUnsafeBytes { try stream.append($0, to: &text) }
      #expect(String(validating: text.span, as: UTF8.self) != nil)
    }
    try stream.finish(to: &text)
    return Outcome(text: Array(text.span), stop: stream.stop)
  }

  /// The definition: decode all, then cut before the stop string that ends first, the longest of several.
  private static func expected(_ bytes: [UInt8], stops: [String]) -> Outcome {
    let text = Array(String(decoding: bytes, as: UTF8.self).utf8)
    for end in 1..<max(text.count + 1, 1) {
      let ending = stops.indices.filter { text[..<end].suffix(stops[$0].utf8.count).elementsEqual(stops[$0].utf8) }
      if let stop = ending.max(by: { stops[$0].utf8.count < stops[$1].utf8.count }) {
        return Outcome(text: Array(text[..<(end - stops[stop].utf8.count)]), stop: stop)
      }
    }
    return Outcome(text: text, stop: nil)
  }

  private static func pieces(_ bytes: [UInt8], at cuts: [Int]) -> [[UInt8]] {
    zip([0] + cuts, cuts + [bytes.count]).map { Array(bytes[$0..<$1]) }
  }

  /// Bytes and what Python's decode("utf-8", "replace") makes of them.
  @Test(
    arguments: [
      ([0x61, 0xC3, 0xA9], "aé"), ([0xC3], "\u{FFFD}"), ([0xC3, 0x61], "\u{FFFD}a"),
      ([0x80, 0xBF], "\u{FFFD}\u{FFFD}"),
      ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"), ([0xE0, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
      ([0xE2, 0x82], "\u{FFFD}"), ([0xE2, 0x82, 0x41], "\u{FFFD}A"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
      ([0xF0, 0x9F, 0x98], "\u{FFFD}"), ([0xF0, 0x9F, 0x98, 0x80], "😀"),
      ([0xF0, 0x80, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xF4, 0x90, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
      ([0xF1, 0x80, 0xF1, 0x80, 0x80, 0x80], "\u{FFFD}\u{40000}"), ([0xFF, 0xFE], "\u{FFFD}\u{FFFD}"),
      ([0xF5, 0x80], "\u{FFFD}\u{FFFD}"), ([0xE2, 0xE2, 0x82, 0xAC], "\u{FFFD}€"), ([], ""), ([0x00], "\0"),
    ] as [([UInt8], String)])
  func invalidBytesBecomeReplacementCharacters(bytes: [UInt8], text: String) throws {
    for cut in 0...bytes.count {
      #expect(try Self.run(Self.pieces(bytes, at: [cut]), stops: []).text == Array(text.utf8))
    }
  }

  @Test func randomBytesDecodeAsTheStandardLibraryDoes() throws {
    var random = SplitMix(seed: 6)
    let leads: [UInt8] = [
      0x41, 0x80, 0xBF, 0xC2, 0xE0, 0xA0, 0xED, 0x9F, 0xF0, 0x90, 0xF4, 0x8F, 0xFF, 0xE2, 0x82, 0xAC,
    ]
    for _ in 0..<3000 {
      let bytes = (0..<random.below(12)).map { _ in leads[random.below(leads.count)] }
      let chunks = bytes.map { [$0] }
      #expect(try Self.run(chunks, stops: []).text == Array(String(decoding: bytes, as: UTF8.self).utf8))
    }
  }

  @Test(
    arguments: [
      ("hello STOP world", ["STOP"]), ("aaaaab", ["aab"]), ("ababac", ["abac", "bab"]), ("xyz", ["xyz"]),
      ("one\n\ntwo", ["\n\n"]), ("no stop here", ["STOP", "halt"]), ("ends with STO", ["STOP"]),
      ("abcd", ["bcd", "c"]), ("abcd", ["cd", "bcd", "d"]), ("Grüße, 世界!", ["界"]), ("caf\u{E8} café!", ["é", "è!"]),
      ("👍👎👍👍", ["👍👍"]), ("aXbXc", ["X", "Xb"]), ("", ["a"]), ("mississippi", ["issip", "ssissi"]),
      ("\u{FFFD}a", ["\u{FFFD}"]), ("abcabcabd!", ["abcabd"]),
    ] as [(String, [String])])
  func stopStringsAreFoundHoweverTheTextIsCut(text: String, stops: [String]) throws {
    let bytes = Array(text.utf8)
    let expected = Self.expected(bytes, stops: stops)
    for first in 0...bytes.count {
      for second in first...bytes.count {
        #expect(try Self.run(Self.pieces(bytes, at: [first, second]), stops: stops) == expected)
      }
    }
    #expect(try Self.run(bytes.map { [$0] }, stops: stops) == expected)
  }

  @Test func randomTextsStopWhereTheDefinitionSays() throws {
    var random = SplitMix(seed: 7)
    let letters = ["a", "b", "é", "世"]
    for _ in 0..<1500 {
      func word(_ most: Int) -> String { (0..<1 + random.below(most)).map { _ in letters[random.below(4)] }.joined() }
      var bytes = Array(word(30).utf8)
      if random.below(3) == 0 { bytes[random.below(bytes.count)] = 0xE4 }
      let stops = (0..<random.below(4)).map { _ in word(4) }
      let cuts = (0..<random.below(8)).map { _ in random.below(bytes.count + 1) }.sorted()
      #expect(try Self.run(Self.pieces(bytes, at: cuts), stops: stops) == Self.expected(bytes, stops: stops))
    }
  }

  @Test func textComesOutAsSoonAsItIsCertain() throws {
    var stream = TextStream(stops: try StopMatcher([Array("END".utf8)]))
    var text = try Vector<UInt8>(allocator: .system, purpose: "text")
    func feed(_ chunk: String) throws -> String {
      text.removeAll()
      var chunk = chunk
      try chunk.withUTF8 { try stream.append(UnsafeRawBufferPointer($0), to: &text) }
      return String(decoding: text.span, as: UTF8.self)
    }
    #expect(try feed("abc") == "abc")
    #expect(try feed("dE") == "d")
    #expect(try feed("N") == "")
    #expect(try feed("EN") == "EN")
    var fork = stream
    #expect(try feed("Dxyz") == "")
    #expect(stream.stop == 0)
    #expect(try feed("more") == "")
    try fork.finish(to: &text)
    #expect(String(decoding: text.span, as: UTF8.self) == "EN")
    #expect(fork.stop == nil)
  }

  @Test func finishedStreamStaysSilent() throws {
    var stream = TextStream(stops: try StopMatcher([]))
    var text = try Vector<UInt8>(allocator: .system, purpose: "text")
    try ([0x61, 0xE2] as [UInt8]).withUnsafeBytes { try stream.append($0, to: &text) }
    try stream.finish(to: &text)
    try stream.finish(to: &text)
    try ([0x61] as [UInt8]).withUnsafeBytes { try stream.append($0, to: &text) }
    #expect(Array(text.span) == Array("a\u{FFFD}".utf8))
  }

  @Test func refusedMemoryChangesNothing() throws {
    var stream = TextStream(stops: try StopMatcher([Array("bc".utf8)]))
    let allocator = Allocator(limit: 64, host: nil)
    var text = try Vector<UInt8>(capacity: 32, allocator: allocator, purpose: "text")
    try Array("ab".utf8).withUnsafeBytes { try stream.append($0, to: &text) }
    let long = [UInt8](repeating: 0x7A, count: 1000)
    #expect(throws: BoneSoupError.self) { try long.withUnsafeBytes { try stream.append($0, to: &text) } }
    #expect(Array(text.span) == Array("a".utf8))
    try Array("c".utf8).withUnsafeBytes { try stream.append($0, to: &text) }
    #expect(Array(text.span) == Array("a".utf8) && stream.stop == 0)
  }

  @Test func longRepetitiveTextsTakeLinearTime() throws {
    let stops = (0..<16).map { String(repeating: "a", count: 240 + $0) + "b" }
    let bytes = [UInt8](repeating: 0x61, count: 100_000)
    let outcome = try Self.run([bytes], stops: stops)
    #expect(outcome == Outcome(text: bytes, stop: nil))
  }

  @Test func unusableStopStringsAreRefused() {
    let wrong: [[[UInt8]]] = [
      [[]], [[UInt8](repeating: 0x61, count: 257)], [[0xC3]], [[0x61], [0xFF]],
      [[UInt8]](repeating: [0x61], count: 17),
    ]
    for strings in wrong { #expect(throws: BoneSoupError.self) { try StopMatcher(strings) } }
    #expect(throws: Never.self) {
      try StopMatcher([[UInt8]](repeating: [UInt8](repeating: 0x61, count: 256), count: 16))
    }
  }
}
