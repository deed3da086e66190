import JSON
import Platform
import Testing

@Suite struct GrammarTests {
  static let sample = #"""
    {"a": [1, -2.5e+3, true, false, null, {}, [], ""], "Ġ𝄞é": {"x\n\u00e9\ud834\udd1e": "\"\\\/\b\f\n\r\t"},
     "number": 0, "deep": [[[[1]]]]}
    """#

  @Test func valuesComeBack() throws {
    let root = try parse(Self.sample)
    #expect(root.kind == .object && root.count == 4)
    let elements = Array(try root.array("a").elements)
    #expect(elements.map(\.kind) == [.number, .number, .bool, .bool, .null, .object, .array, .string])
    #expect(try elements[0].int == 1 && elements[1].double == -2500 && elements[1].int == -2500)
    #expect(try elements[2].bool && !elements[3].bool && elements[7].text(maxBytes: 0) == "")
    let member = try #require(Array(try root.object("Ġ𝄞é").members).first)
    #expect(member.key.hasEscapes && member.key.equals("x\né𝄞"))
    #expect(try member.value.text(maxBytes: 100) == "\"\\/\u{8}\u{c}\n\r\t")
    try readEverything(root)
  }

  @Test(arguments: [
    ("", "1:1: expected a value, found the end of the file"), ("[1,]", "1:4: expected a value, found ']'"),
    ("{\"a\":1,}", "1:8: expected a key in quotes, found '}'"), ("// c\n1", "1:1: expected a value, found '/'"),
    ("[NaN]", "1:2: expected a value, found 'N'"), ("[Infinity]", "expected a value"), ("nul", "expected null"),
    ("[nulL]", "1:2: expected null"), ("01", "1:1: a number with a leading zero"), ("-01", "leading zero"),
    ("+1", "expected a value"), ("1.", "expected a digit"), (".5", "expected a value"), ("1e", "expected a digit"),
    ("1e+", "expected a digit"), ("-", "expected a digit"), ("0x10", "expected the end of the file, found 'x'"),
    ("{} {}", "1:4: expected the end of the file, found '{'"), ("[1 2]", "1:4: expected ',' or ']'"),
    ("{\"a\" 1}", "1:6: expected ':' after the key"), ("{\"a\":1 \"b\":2}", "expected ',' or '}'"),
    ("{a:1}", "expected a key in quotes"), ("{'a':1}", "expected a key in quotes"), ("[1}", "expected ',' or ']'"),
    ("{\"a\":1]", "expected ',' or '}'"), ("[\n  \"abc", "2:3: a string without its closing quote"),
    ("[\"é\", x]", "1:7: expected a value, found 'x'"), ("\"a\tb\"", "1:3: a control character"),
    ("\"\\x\"", "1:2: an escape that JSON does not have"), ("\"\\u12g4\"", "four hexadecimal digits"),
    ("\"\\ud834\"", "without its partner"), ("\"\\ud834\\u0041\"", "without its partner"),
    ("\"\\udd1e\"", "without its partner"), ("\"\\ud834\\udd1", "without its partner"), ("\"\\", "closing quote"),
    ("\u{FEFF}{}", "byte order mark"), ("{\"a\":1,\"b\":2,\"\\u0061\":3}", "1:15: the key \"\\u0061\" appears twice"),
    ("]", "expected a value"), (":", "expected a value"), ("\u{0}", "found the byte 0x00"), ("[1]\u{0}", "0x00"),
  ])
  func whatBreaksTheGrammarIsRefusedWithItsPlace(text: String, message: String) throws {
    let found = try #require(refusal(text.utf8), "\(text) was accepted")
    #expect(found.hasPrefix("sample.json:") && found.contains(message), "\(found)")
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xE2, 0x82],
      [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xF0, 0x9D, 0x84, 0x41],
    ] as [[UInt8]])
  func invalidUTF8IsRefused(bytes: [UInt8]) throws {
    for padding in 0..<9 {
      let filler = [UInt8](repeating: 0x61, count: padding)
      let message = try #require(refusal([0x22] + filler + bytes + filler + [0x22]))
      #expect(message.contains("not valid UTF-8"))
    }
  }

  @Test func everyEscapeIsDecodedAsUTF8() throws {
    for scalar in UInt32(0)...0x10FFFF where scalar % 37 == 0 || scalar < 0x900 || scalar > 0xFFF0 && scalar < 0x10010 {
      guard let character = Unicode.Scalar(scalar) else { continue }
      let escapes = String(character).utf16.map { unit in
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
      let value = try parse("\"" + escapes.joined() + "\"")
      #expect(value.equals(String(character)) && Array(value.characters) == Array(String(character).utf8))
    }
  }

  @Test func everyTruncationIsRefused() {
    let bytes = Array(Self.sample.utf8)
    for count in 0..<bytes.count { #expect(refusal(bytes[..<count]) != nil, "\(count) bytes") }
  }

  @Test func stringsOfAllLengthsAreScannedToTheirQuote() throws {
    for length in 0..<40 {
      let text = String(repeating: "x", count: length)
      #expect(try parse("\"\(text)\"").equals(text))
      for stop in 0...length {
        let mixed = String(repeating: "x", count: stop) + "é" + String(repeating: "\u{7f}!", count: length - stop)
        #expect(try parse("[\"\(mixed)\"]").elements.contains { $0.equals(mixed) })
      }
    }
  }

  @Test func depthIsLimited() throws {
    let nested = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    #expect(refusal(nested(64).utf8) == nil)
    let message = try #require(refusal(nested(65).utf8))
    #expect(message == "sample.json:1:65: arrays and objects nested more than 64 deep")
    #expect(refusal(String(repeating: "{\"a\":", count: 1_000_000).utf8) != nil)
    #expect(try parse(nested(4096).utf8, maximumDepth: .max).root.count == 1)
    #expect(throws: BoneSoupError.self) { try parse(nested(4097).utf8, maximumDepth: .max) }
  }

  @Test func sizeIsLimited() {
    #expect(throws: BoneSoupError.malformed("sample.json has 4 bytes; at most 3 are read")) {
      try parse("null".utf8, maximumBytes: 3)
    }
  }

  @Test func memoryThatRunsOutIsAnError() throws {
    let text = Array(("[" + String(repeating: "1,", count: 10_000) + "1]").utf8)
    let buffer = try Buffer(byteCount: text.count, allocator: .system, purpose: "the sample")
    UnsafeMutableRawBufferPointer(start: buffer.pointer, count: text.count).copyBytes(from: text)
    #expect {
      try JSONDocument(
        buffer.bytes, owner: buffer, file: "sample.json", maximumBytes: .max,
        allocator: Allocator(limit: 100_000, host: nil))
    } throws: {
      guard case .outOfMemory(let message)? = $0 as? BoneSoupError else { return false }
      return message.contains("the index of sample.json")
    }
  }

  @Test func cancellingIsNoticedInsideALongString() throws {
    let token = try CancelToken.make()
    token.cancel()
    var text = [UInt8](repeating: 0x20, count: 20 << 20)
    text[0] = 0x22
    text[text.count - 1] = 0x22
    #expect(throws: BoneSoupError.cancelled) { try parse(text, monitor: Monitor(token: token, progress: nil)) }
    token.release()
  }

  @Test func duplicateKeysOfLargeDocumentsAreLeftToTheReader() throws {
    let members = String(repeating: "\"key\": 1, ", count: 200_000)
    #expect(try parse("{\(members)\"key\": 2}").count == 200_001)
    #expect(refusal("{\"a\": {\"b\": 1, \"c\": 2, \"b\": 3}}".utf8) != nil)
  }
}
