import Platform
import TestSupport
import Testing

@testable import Tokenization

/// Files that are wrong, or ask for what isn't supported: each is an error that names what it is about.
struct HostileFileTests {
  private func message(_ change: (inout SampleFile) -> Void) throws -> String {
    var file = SampleFile()
    change(&file)
    let error = #expect(throws: BoneSoupError.self) { try Tokenizer(file.json) }
    return try #require(error).message
  }

  @Test(arguments: [
    (#"{"a": 0, "b": 0}"#, "[]", #"model.vocab.b is the id 0, which "a" already has"#),
    (#"{"a": -1}"#, "[]", "model.vocab.a must be from 0 to 4194303, is -1"),
    (#"{"a": 4194304}"#, "[]", "is 4194304"),
    (#"{"a": 2147483648}"#, "[]", "is 2147483648"),
    (#"{"a": 18446744073709551616}"#, "[]", "which no 64-bit integer can hold"),
    (#"{"a": 0.5}"#, "[]", "must be an integer"),
    (#"{"a": "0"}"#, "[]", "must be a number"),
    ("[]", "[]", "model.vocab must be an object"),
    (#"{"a": 0, "b": 1}"#, #"["a b"]"#, #"model.merges[0] needs "ab", which is not in the vocabulary"#),
    (#"{"a": 0, "ab": 1}"#, #"["a b"]"#, #"model.merges[0] needs "b""#),
    (#"{"b": 0, "ab": 1}"#, #"[["a", "b"]]"#, #"model.merges[0] needs "a""#),
    (#"{"a": 0}"#, #"["a"]"#, #"model.merges[0] is "a", which is not two pieces"#),
    (#"{"a": 0}"#, #"["a b c"]"#, "which is not two pieces"),
    (#"{"a": 0}"#, #"[["a"]]"#, "must be two pieces, is 1"),
    (#"{"a": 0}"#, #"[["a", "a", "a"]]"#, "must be two pieces, is 3"),
    (#"{"a": 0}"#, #"[["a", 1]]"#, "must be a string"),
    (#"{"a": 0}"#, #"[1]"#, "must be two pieces in an array or in a string"),
    (#"{"a": 0}"#, "{}", "model.merges must be an array"),
  ])
  func badVocabulary(vocab: String, merges: String, expected: String) throws {
    let message = try message {
      $0.vocab = vocab
      $0.merges = merges
    }
    #expect(message.contains(expected), "\(message)")
  }

  @Test(arguments: [
    #""dropout": 0.1, "#: "model.dropout must be null",
    #""continuing_subword_prefix": "Ġ", "#: #"model.continuing_subword_prefix is "Ġ""#,
    #""end_of_word_suffix": "</w>", "#: #"model.end_of_word_suffix is "</w>""#,
    #""novelty": true, "#: "has the option novelty, which is not supported",
    #""byte_fallback": 1, "#: "model.byte_fallback must be a boolean",
  ])
  func unsupportedModel(options: String, expected: String) throws {
    let message = try message { $0.options = options }
    #expect(message.contains(expected), "\(message)")
  }

  @Test func otherModelsAreNamed() throws {
    let error = #expect(throws: BoneSoupError.self) {
      try Tokenizer(#"{"model": {"type": "Unigram", "vocab": [], "unk_id": 0}}"#)
    }
    #expect(
      error == .unsupported("tokenizer.json: model has the type Unigram, which is not supported; supported are BPE"))
  }

  @Test(arguments: [
    (#"{"type": "NFKC"}"#, "normalizer has the type NFKC"),
    (#"{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Precompiled"}]}"#, "the type Precompiled"),
    (#"{"type": "Replace", "pattern": {"Regex": " +"}, "content": ""}"#, "is the regular expression  +"),
    (#"{"type": "Replace", "pattern": {"String": ""}, "content": ""}"#, "is empty"),
    (#"{"type": "Replace", "pattern": {}, "content": ""}"#, "String is missing"),
    (#"{"type": "Prepend"}"#, "normalizer.prepend is missing"),
    (#"{"type": "NFC", "strength": 2}"#, "has the option strength"),
    (#"{"type": "Sequence", "normalizers": 1}"#, "must be an array"),
    (#"{}"#, "normalizer.type is missing"),
    (#""NFC""#, "normalizer must be an object"),
  ])
  func unsupportedNormalizer(text: String, expected: String) throws {
    let message = try message { $0.normalizer = text }
    #expect(message.contains(expected), "\(message)")
  }

  @Test(arguments: [
    (#"{"type": "BertPreTokenizer"}"#, "the type BertPreTokenizer"),
    (
      #"{"type": "Split", "pattern": {"Regex": "\\p{Han}+"}, "behavior": "Isolated", "invert": false}"#,
      #"is the regular expression \p{Han}+, which is not supported"#
    ),
    (#"{"type": "Split", "pattern": {"String": "a"}, "behavior": "Doubled", "invert": false}"#, "is Doubled"),
    (#"{"type": "Split", "pattern": {"String": "a"}, "behavior": "Isolated"}"#, "invert is missing"),
    (#"{"type": "Metaspace", "replacement": "ab"}"#, "must be one character"),
    (#"{"type": "Metaspace", "replacement": ""}"#, "must be one character"),
    (#"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}"#, "is last, which is not supported"),
    (
      #"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "add_prefix_space": false}"#,
      "is first and add_prefix_space is false"
    ),
    (#"{"type": "ByteLevel"}"#, "add_prefix_space is missing"),
    (#"{"type": "Digits", "individual_digits": null}"#, "must be a boolean"),
  ])
  func unsupportedPreTokenizer(text: String, expected: String) throws {
    let message = try message { $0.preTokenizer = text }
    #expect(message.contains(expected), "\(message)")
  }

  @Test(arguments: [
    (#"{"type": "WordPiece", "prefix": "@"}"#, "the type WordPiece"),
    (#"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteFallback"}]}"#, "is a ByteFallback after"),
    (#"{"type": "Sequence", "decoders": [{"type": "ByteLevel"}, {"type": "ByteLevel"}]}"#, "is a ByteLevel after"),
    (
      #"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 0, "stop": 1}]}"#,
      "strips the whole text"
    ),
    (#"{"type": "Strip", "content": " ", "start": 9999999999, "stop": 0}"#, "must be from 0 to 1024"),
    (#"{"type": "Strip", "content": " ", "start": -1, "stop": 0}"#, "must be from 0 to 1024"),
  ])
  func unsupportedDecoder(text: String, expected: String) throws {
    let message = try message { $0.decoder = text }
    #expect(message.contains(expected), "\(message)")
  }

  @Test(arguments: [
    (#"{"type": "BertProcessing"}"#, "the type BertProcessing"),
    (#"{"type": "TemplateProcessing", "single": [], "special_tokens": {}}"#, "has the text 0 times"),
    (
      #"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B"}}], "special_tokens": {}}"#,
      "names another text than A"
    ),
    (
      #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {}}"#,
      "names <s>, which is not in special_tokens"
    ),
    (
      #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<s>": {"ids": [77]}}}"#,
      "adds the token 77, which does not exist"
    ),
    (
      #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<s>": {"ids": [4294967296]}}}"#,
      "is 4294967296"
    ),
  ])
  func unsupportedTemplate(text: String, expected: String) throws {
    let message = try message { $0.postProcessor = text }
    #expect(message.contains(expected), "\(message)")
  }

  @Test(arguments: [
    ([SampleFile.token(9, "a")], #"gives "a" the id 9, and model.vocab the id 0"#),
    ([SampleFile.token(0, "x")], #"gives "x" the id 0, which "a" already has"#),
    ([SampleFile.token(9, "x"), SampleFile.token(9, "y")], #"gives "y" the id 9, which "x" already has"#),
    ([SampleFile.token(8, "x"), SampleFile.token(9, "x")], #"has "x" twice"#),
    ([SampleFile.token(-1, "x")], "added_tokens[0].id must be from 0"),
    ([SampleFile.token(1 << 31, "x")], "added_tokens[0].id must be from 0"),
    ([SampleFile.token(9, String(repeating: "x", count: 1025))], "has 1025 bytes"),
    ([#"{"id": 9, "content": "x"}"#], "single_word is missing"),
    ([#"{"id": 9}"#], "single_word is missing"),
    (["3"], "must be an object"),
  ])
  func badAddedTokens(tokens: [String], expected: String) throws {
    let message = try message { $0.added = "[\(tokens.joined(separator: ", "))]" }
    #expect(message.contains(expected), "\(message)")
  }

  @Test func anotherVersionIsRefused() throws {
    let error = #expect(throws: BoneSoupError.self) { try Tokenizer(#"{"version": "2.0"}"#) }
    #expect(error?.message.contains("version is 2.0; only 1.0 is supported") == true)
  }

  @Test func chainsAreBounded() throws {
    let steps = Array(repeating: #"{"type": "NFC"}"#, count: 65).joined(separator: ",")
    let message = try message { $0.normalizer = #"{"type": "Sequence", "normalizers": [\#(steps)]}"# }
    #expect(message.contains("one step more than the 64"))
  }

  @Test func emptyPiecesAndHolesAreAllowed() throws {
    var file = SampleFile()
    file.vocab = #"{"": 7, "a": 3000, "b": 1}"#
    file.merges = #"["a "]"#
    let tokenizer = try Tokenizer(file.json)
    #expect(tokenizer.vocabularySize == 3001)
    #expect(try tokenizer.encode("aba") == [3000, 1, 3000])
    #expect(try tokenizer.encode("").isEmpty)
    #expect(tokenizer.tokenId(of: "") == 7)
  }

  /// Bytes of the fixtures changed, removed, doubled and cut: whatever loads also encodes and decodes.
  @Test(arguments: ["gpt2-prefix-space", "qwen2", "llama2", "odd", "words"])
  func mutatedFilesNeverCrash(name: String) throws {
    let path = SharedFolder.packageRoot + "/Tests/Fixtures/tokenizers/\(name).json"
    let original = try #require(contents(ofFile: path))
    var random = SplitMix(seed: 7)
    var loaded = 0
    for _ in 0..<400 {
      var bytes = original
      for _ in 0...random.below(3) { mutate(&bytes, &random) }
      guard let tokenizer = try? Tokenizer(bytes) else { continue }
      loaded += 1
      _ = try? tokenizer.encode("The fox's <s>  café\u{301} 12\n<left> hen", addSpecial: true)
      let ids = (0..<20).map { _ in Int32(truncatingIfNeeded: random.below(700)) }
      _ = try? tokenizer.decode(ids)
      _ = try? tokenizer.stream(ids)
    }
    #expect(loaded > 0)
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix) {
    // Half of them near the ends, where the components are.
    let window = random.below(2) == 0 ? min(bytes.count, 1500) : bytes.count
    let position = random.below(window)
    let structural = Array(#""{}[],:0123456789-e\tfn"#.utf8)
    switch random.below(6) {
    case 0: bytes[position] = UInt8(truncatingIfNeeded: random.next())
    case 1: bytes[position] ^= 1 << UInt8(random.below(8))
    case 2: bytes[position] = structural[random.below(structural.count)]
    case 3: bytes.remove(at: position)
    case 4: bytes.insert(structural[random.below(structural.count)], at: position)
    default:
      let end = min(position + random.below(40), bytes.count)
      let part = Array(bytes[position..<end])
      if random.below(8) == 0 { bytes.removeSubrange(end...) } else { bytes.insert(contentsOf: part, at: position) }
    }
  }

  @Test func everyTruncationIsAnError() throws {
    let json = Array(SampleFile().json.utf8)
    for count in 0..<json.count { #expect(throws: BoneSoupError.self) { try Tokenizer(json[..<count]) } }
  }
}
