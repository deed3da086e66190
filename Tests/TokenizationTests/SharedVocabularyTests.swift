import JSON
import Platform
import TestSupport
import Testing

@testable import Tokenization

/// The vocabularies of real models, which lie in the shared folder.
@Suite(.enabled(if: SharedFolder.path != nil))
struct SharedVocabularyTests {
  private let folder: String

  init() throws { folder = try #require(SharedFolder.path) }

  /// llama.cpp's test texts of a vocabulary, and their ids.
  private func expectAllCases(of name: String, _ tokenizer: Tokenizer) throws {
    let path = "\(folder)/tokenizers/ggml-vocab-\(name).gguf"
    let texts = try text(ofFile: path + ".inp").split(separating: "\n__ggml_vocab_test__\n")
    let lines = try text(ofFile: path + ".out").split(separating: "\n")
    var cases = 0
    for (text, line) in zip(texts, lines) {
      let ids = String(decoding: line, as: UTF8.self).split(separator: " ").compactMap { Int32($0) }
      #expect(try tokenizer.encode(text) == ids, "\(String(decoding: text, as: UTF8.self))")
      #expect(try tokenizer.decode(ids) == Array(text))
      cases += 1
    }
    #expect(cases >= 46)
  }

  @Test func gpt2() throws {
    try expectAllCases(of: "gpt-2", composed("gpt2", normalizer: "null", preTokenizer: SampleFile.gpt2))
  }

  @Test func qwen2() throws {
    let tokenizer = try composed("qwen2", normalizer: #"{"type": "NFC"}"#, preTokenizer: SampleFile.qwen2)
    try expectAllCases(of: "qwen2", tokenizer)
    #expect(tokenizer.vocabularySize == 151_643)
  }

  /// A tokenizer of a folder's vocab.json and merges.txt.
  private func composed(_ name: String, normalizer: String, preTokenizer: String) throws -> Tokenizer {
    let vocab = try text(ofFile: "\(folder)/tokenizers/\(name)/vocab.json")
    let merges = try text(ofFile: "\(folder)/tokenizers/\(name)/merges.txt")
    var lines: [UInt8] = []
    for line in merges.split(separating: "\n") where !line.isEmpty && !line.starts(with: "#version".utf8) {
      lines += Array((lines.isEmpty ? "\"" : ",\n\"").utf8)
      for byte in line {
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { lines.append(UInt8(ascii: "\\")) }
        lines.append(byte)
      }
      lines.append(UInt8(ascii: "\""))
    }
    let start =
      #"{"normalizer": \#(normalizer), "pre_tokenizer": \#(preTokenizer), "decoder": {"type": "ByteLevel"}, "model": "#
      + #"{"type": "BPE", "vocab": "#
    return try Tokenizer(
      Array(start.utf8) + vocab + Array(#", "merges": ["#.utf8) + lines + Array("]}}".utf8))
  }

  @Test func promptsOfTinyStories() throws {
    let tokenizer = try Tokenizer(path: folder + "/models/TinyStories-656K/tokenizer.json")
    #expect(tokenizer.vocabularySize == 2048)
    #expect(tokenizer.specialTokensBefore == [1])
    let expected = try text(ofFile: folder + "/models/tinysoup/expected_logits.json")
    let document = try document(expected, file: "expected_logits.json")
    var prompts = 0
    for prompt in try document.root.array("prompts").elements {
      let text = try prompt.string("text", maxBytes: 1000)
      let ids = try prompt.array("ids").elements.map { Int32(try $0.int(in: 0...2047)) }
      #expect(try tokenizer.encode(text, addSpecial: true) == ids)
      #expect(try tokenizer.decode(ids, skipSpecial: true) == Array(text.utf8))
      prompts += 1
    }
    #expect(prompts > 0)
  }

  private func text(ofFile path: String) throws -> [UInt8] { try #require(contents(ofFile: path), "\(path)") }
}

extension [UInt8] {
  /// The parts between each `separator`.
  fileprivate func split(separating separator: String) -> [ArraySlice<UInt8>] {
    let separator = Array(separator.utf8)
    var parts: [ArraySlice<UInt8>] = []
    var start = 0
    var position = 0
    while position + separator.count <= count {
      if self[position..<position + separator.count].elementsEqual(separator) {
        parts.append(self[start..<position])
        position += separator.count
        start = position
      } else {
        position += 1
      }
    }
    return parts + [self[start...]]
  }
}
