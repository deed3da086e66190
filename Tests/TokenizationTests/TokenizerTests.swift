import Glibc
import Platform
import TestSupport
import Testing

@testable import Tokenization

struct TokenizerTests {
  @Test func tellsItsVocabulary() throws {
    var file = SampleFile()
    file.added = "[\(SampleFile.token(9, "<s>", "special")), \(SampleFile.token(7, "tool"))]"
    let tokenizer = try Tokenizer(file.json)
    #expect(tokenizer.vocabularySize == 10)
    #expect(tokenizer.piece(5).map { Array($0) } == Array("abc".utf8))
    #expect(tokenizer.piece(9).map { Array($0) } == Array("<s>".utf8))
    for missing: Int32 in [6, 8, 10, -1, .min, .max] {
      #expect(tokenizer.piece(missing) == nil)
      #expect(!tokenizer.isSpecial(missing))
    }
    #expect(tokenizer.isSpecial(9) && !tokenizer.isSpecial(7) && !tokenizer.isSpecial(0))
    #expect(tokenizer.tokenId(of: "abc") == 5)
    #expect(tokenizer.tokenId(of: "<s>") == 9)
    #expect(tokenizer.tokenId(of: "<s") == nil)
    #expect(tokenizer.tokenId(of: "") == nil)
  }

  @Test func specialTokensInTextAreTextWhereTheHostSaysSo() throws {
    var file = SampleFile()
    file.vocab = #"{"a": 0, "b": 1, "<": 2, "s": 3, ">": 4}"#
    file.merges = "[]"
    file.added = "[\(SampleFile.token(9, "<s>", "special")), \(SampleFile.token(8, "<b>"))]"
    let tokenizer = try Tokenizer(file.json)
    #expect(try tokenizer.encode("a<s><b>") == [0, 9, 8])
    #expect(try tokenizer.encode("a<s><b>", parseSpecial: false) == [0, 2, 3, 4, 8])
  }

  @Test func aSpecialPieceOfTheModelIsNotGivenForUntrustedText() throws {
    var file = SampleFile()
    file.vocab = #"{"<": 0, "s": 1, ">": 2, "<s>": 3}"#
    file.merges = "[]"
    file.options = #""ignore_merges": true, "#
    file.added = "[\(SampleFile.token(3, "<s>", "special"))]"
    let tokenizer = try Tokenizer(file.json)
    #expect(try tokenizer.encode("<s>") == [3])
    #expect(try tokenizer.encode("<s>", parseSpecial: false) == [0, 1, 2])
  }

  @Test func templateStandsAroundTheText() throws {
    var file = SampleFile()
    file.added = "[\(SampleFile.token(8, "<s>", "special")), \(SampleFile.token(9, "</s>", "special"))]"
    file.postProcessor = #"""
      {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing", "pair": [], "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [8, 8], "tokens": []}, "</s>": {"id": "</s>", "ids": [9], "tokens": []}}}]}
      """#
    let tokenizer = try Tokenizer(file.json)
    #expect(try tokenizer.encode("abc", addSpecial: true) == [8, 8, 5, 9])
    #expect(try tokenizer.encode("", addSpecial: true) == [8, 8, 9])
    #expect(try tokenizer.encode("abc") == [5])
  }

  @Test func textThatIsNotUTF8IsRefusedWithItsOffset() throws {
    let tokenizer = try Tokenizer(SampleFile().json)
    let faults: [[UInt8]] = [
      [0x80], [0xC0, 0x80], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xFF],
    ]
    for fault in faults {
      for prefix in [0, 3, 8, 21] {
        let text = [UInt8](repeating: 0x61, count: prefix) + fault
        let error = #expect(throws: BoneSoupError.self) { try tokenizer.encode(text) }
        guard case .invalidArgument(let message) = error else { throw try #require(error) }
        #expect(message.contains("offset \(prefix) "))
      }
    }
  }

  @Test func whatWasThereStaysWhereEncodingFails() throws {
    let tokenizer = try Tokenizer(SampleFile().json)
    var ids = try Vector<Int32>(allocator: .system, purpose: "ids")
    try ids.append(7)
    #expect(throws: BoneSoupError.self) {
      try [0x61, 0x62, 0xFF].withUnsafeBytes {
        try tokenizer.encode($0, addSpecial: false, parseSpecial: true, into: &ids)
      }
    }
    #expect(ids.array == [7])
  }

  @Test func aCharacterWithoutPieceNeedsTheUnknownToken() throws {
    var file = SampleFile()
    #expect(try Tokenizer(file.json).encode("axb") == [4])
    file.options = #""unk_token": "nowhere", "#
    let tokenizer = try Tokenizer(file.json)
    #expect(try tokenizer.encode("ab") == [4])
    let error = #expect(throws: BoneSoupError.self) { try tokenizer.encode("axb") }
    #expect(error?.message.contains("\"x\"") == true && error?.message.contains("\"nowhere\"") == true)
  }

  @Test func streamsGoOnFromWhereTheyWereCopied() throws {
    var file = SampleFile()
    file.vocab = #"{"▁a": 0, "<0xF0>": 1, "<0x9F>": 2, "<0x98>": 3, "<0x80>": 4, "▁": 5}"#
    file.merges = "[]"
    file.decoder = #"""
      {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
      """#
    let tokenizer = try Tokenizer(file.json)
    #expect(try tokenizer.decode([0, 1, 2, 3, 4, 5]) == Array("a😀 ".utf8))
    #expect(try tokenizer.decode([5, 0, 1, 2]) == Array(" a\u{FFFD}\u{FFFD}".utf8))
    var bytes = try Vector<UInt8>(allocator: .system, purpose: "text")
    var stream = tokenizer.makeStream(skipSpecial: false)
    for token: Int32 in [99, -1, 5, 0, 1] { try stream.append(token, into: &bytes) }
    #expect(bytes.array == Array(" a".utf8) + [0xF0])
    bytes.removeAll()
    var copy = stream
    for token: Int32 in [2, 3, 4, 0] { try copy.append(token, into: &bytes) }
    try stream.append(5, into: &bytes)
    #expect(bytes.array == [0x9F, 0x98, 0x80] + Array(" a ".utf8))
  }

  @Test func memoryIsCountedAndGivenBack() throws {
    let allocator = Allocator(limit: nil, host: nil)
    do {
      let tokenizer = try Tokenizer(Array(SampleFile().json.utf8), allocator: allocator)
      #expect(allocator.bytesInUse > 0x110000)
      #expect(try tokenizer.encode("abc ab") == [5, 3, 4])
    }
    #expect(allocator.bytesInUse == 0)
  }

  /// Each allocation in turn is refused, in loading, encoding and decoding.
  @Test func runningOutOfMemoryIsAnError() throws {
    let json = Array(SampleFile().json.utf8)
    let text = Array(String(repeating: "abc ab", count: 100).utf8)
    var allowed = 0
    var isDone = false
    while !isDone {
      var left = allowed
      try withUnsafeMutablePointer(to: &left) { left in
        let allocator = Allocator(limit: nil, host: Self.host(refusingAfter: left))
        do {
          let tokenizer = try Tokenizer(json, allocator: allocator)
          _ = try tokenizer.decode(tokenizer.encode(text))
          isDone = true
        } catch BoneSoupError.outOfMemory {
          #expect(left.pointee < 0)
        }
        #expect(allocator.bytesInUse == 0)
      }
      allowed += 1
    }
    #expect(allowed > 20)
  }

  /// Memory of the system, as often as the number says.
  private static func host(refusingAfter left: UnsafeMutablePointer<Int>) -> Allocator.Host {
    Allocator.Host(
      allocate: { bytes, alignment, context in
        guard let left = context?.assumingMemoryBound(to: Int.self) else { return nil }
        left.pointee -= 1
        return left.pointee < 0 ? nil : aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
      },
      free: { pointer, _, _ in free(pointer) }, context: left)
  }
}
