import Platform
@_spi(_Unicode) import Swift
import TestSupport
import Testing

@testable import Tokenization

/// The parts that a tokenizer is made of.
struct ComponentTests {
  /// The example of the `tokenizers` documentation.
  @Test(arguments: [
    (SplitBehavior.removed, ["the", "final", "countdown"]),
    (.isolated, ["the", "-", "final", "-", "-", "countdown"]),
    (.mergedWithPrevious, ["the-", "final-", "-", "countdown"]),
    (.mergedWithNext, ["the", "-final", "-", "-countdown"]),
    (.contiguous, ["the", "-", "final", "--", "countdown"]),
  ])
  func splitBehaviors(behavior: SplitBehavior, expected: [String]) throws {
    #expect(try cut("the-final--countdown", .split(.literal([0x2D]), behavior, isInverted: false)) == expected)
  }

  @Test(arguments: [
    (
      WordPattern.gpt2, "I'Ll  see 12345\n\n  you!!\n",
      ["I", "'", "Ll", " ", " see", " 12345", "\n\n ", " you", "!!", "\n"]
    ),
    (
      .llama3, "I'Ll  see 12345\n\n  you!!\n", ["I", "'Ll", " ", " see", " ", "123", "45", "\n\n", " ", " you", "!!\n"]
    ),
    (.qwen2, "'ſ12 \u{85}x\u{a0}y-z", ["'ſ", "1", "2", " ", "\u{85}x", "\u{a0}y", "-z"]),
    (.qwen2, "  \n \n  a \t", ["  \n \n", " ", " a", " \t"]),
    (.gpt2, "'s'S're're", ["'s", "'", "S", "'re", "'re"]),
    (.gpt2, "   ", ["   "]),
  ])
  func wordPatterns(pattern: WordPattern, text: String, expected: [String]) throws {
    #expect(try cut(text, .split(.words(pattern), .isolated, isInverted: false)) == expected)
    #expect(try cut(text, .split(.words(pattern), .removed, isInverted: true)) == expected)
  }

  private func cut(_ text: String, _ step: PreTokenizer.Step) throws -> [String] {
    let classes = try CharacterClasses(allocator: .system)
    var list = try PieceList(classes: classes, allocator: .system)
    try Array(text.utf8).withUnsafeBufferPointer {
      try list.cut($0, isAtStart: true, by: [step], monitor: .none)
    }
    return list.pieces.array.map { String(decoding: list.bytes(of: $0), as: UTF8.self) }
  }

  /// Random sequences of characters that interact, against the standard library's own normalisation.
  @Test func canonicalFormsOfRandomText() throws {
    let scalars =
      Array(
        "ae\u{e9}\u{1e69}s\u{301}\u{307}\u{323}\u{327}\u{345}\u{338}\u{0}=<\u{212b}\u{3a9}\u{915}\u{93c}\u{958}"
          .unicodeScalars)
      + Array(
        "\u{1100}\u{1161}\u{11a8}\u{ac00}\u{ac01}\u{f71}\u{f72}\u{9c7}\u{9be}\u{d7}\u{fb1d}\u{304b}\u{3099}"
          .unicodeScalars)
    let classes = try CharacterClasses(allocator: .system)
    var random = SplitMix(seed: 11)
    for _ in 0..<5000 {
      var text = ""
      for _ in 0..<(1 + random.below(9)) { text.unicodeScalars.append(scalars[random.below(scalars.count)]) }
      for composes in [true, false] {
        let found = try canonicalForm(text, composes: composes, classes).unicodeScalars
        var expected = String.UnicodeScalarView()
        if composes {
          expected.append(contentsOf: text._nfc)
        } else {
          expected.append(contentsOf: text._nfd)
        }
        #expect(found.elementsEqual(expected), "\(text.unicodeScalars.map { String($0.value, radix: 16) })")
      }
    }
  }

  /// U+0F73 is a starter that decomposes to two marks, which move before others; the standard library lets them stand.
  @Test func marksOfAStarterAreOrderedToo() throws {
    let classes = try CharacterClasses(allocator: .system)
    let found = try canonicalForm("a\u{345}\u{f73}\u{ac00}", composes: true, classes)
    #expect(Array(found.utf8) == Array("a\u{f71}\u{f72}\u{345}\u{ac00}".utf8))
  }

  private func canonicalForm(_ text: String, composes: Bool, _ classes: CharacterClasses) throws -> String {
    var form = try CanonicalForm(composes: composes, classes: classes, allocator: .system)
    var output = try Vector<UInt8>(allocator: .system, purpose: "text")
    try Array(text.utf8).withUnsafeBufferPointer { try form.append($0, to: &output, monitor: .none) }
    return String(decoding: output.array, as: UTF8.self)
  }

  @Test func byteLevelAlphabetIsOneToOne() {
    var seen: Set<UInt32> = []
    for byte in UInt8.min...UInt8.max {
      let character = ByteLevelAlphabet.character(for: byte)
      #expect(ByteLevelAlphabet.byte(for: character) == byte)
      seen.insert(character)
    }
    #expect(seen.count == 256)
    for character in UInt32(0)..<0x400 where !seen.contains(character) {
      #expect(ByteLevelAlphabet.byte(for: character) == nil)
    }
  }

  @Test func tokenMatcherTakesTheLeftmostAndOfThoseTheLongest() throws {
    var matcher = try TokenMatcher(allocator: .system)
    for (index, text) in ["bc", "abcd", "ab", "abc", "x", "é"].enumerated() {
      try Array(text.utf8).withUnsafeBufferPointer { try matcher.append($0, token: index) }
    }
    matcher.finish()
    func find(_ text: String, from start: Int = 0) throws -> [Int]? {
      let match = try Array(text.utf8).withUnsafeBufferPointer {
        try matcher.find(in: $0, from: start, monitor: .none)
      }
      return match.map { [$0.start, $0.end, $0.token] }
    }
    #expect(try find("zabce") == [1, 4, 3])
    #expect(try find("zabcd") == [1, 5, 1])
    #expect(try find("zab") == [1, 3, 2])
    #expect(try find("zabc", from: 2) == [2, 4, 0])
    #expect(try find("a\u{301}é") == [3, 5, 5])
    #expect(try find("a") == nil)
    #expect(try find("", from: 0) == nil)
    #expect(matcher.firstDuplicate == nil)
  }

  @Test func invalidBytesAreReplacedAsRustAndPythonDo() throws {
    let cases: [([UInt8], String)] = [
      ([0x61, 0xFF, 0x62], "a\u{FFFD}b"), ([0xE2, 0x82, 0x41], "\u{FFFD}A"), ([0xF0, 0x9F, 0x98], "\u{FFFD}"),
      ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xC3, 0xC3, 0xA9], "\u{FFFD}é"), ([], ""),
      ([0xF0, 0x9F, 0x98, 0x80], "😀"), ([0xC0, 0x80], "\u{FFFD}\u{FFFD}"),
    ]
    for (bytes, expected) in cases {
      var output = try Vector<UInt8>(allocator: .system, purpose: "text")
      try bytes.withUnsafeBufferPointer { try appendReplacingInvalid($0, to: &output) }
      #expect(output.array == Array(expected.utf8))
    }
  }
}
