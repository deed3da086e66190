import JSON
import Platform
import TestSupport
import Testing

@testable import Tokenization

/// Texts and token sequences with what Hugging Face `tokenizers` makes of them, as `tokenizer_cases.py` writes them.
struct CaseFile {
  let tokenizer: Tokenizer
  private let root: JSONValue

  /// - Parameter tokenizerPath: nil takes the one that the file names.
  init(path: String, tokenizerPath: String? = nil) throws {
    guard let bytes = contents(ofFile: path) else { throw BoneSoupError.notFound(path) }
    root = try document(bytes, file: path).root
    let named = try root.string("tokenizer", maxBytes: 4096)
    tokenizer = try Tokenizer(path: tokenizerPath ?? named)
  }

  /// Expects every case, records the first ten that differ, and returns how many there were and how many differed.
  @discardableResult
  func check() throws -> (cases: Int, differing: Int) {
    var cases = 0
    var differing = 0
    func expect<Value: Equatable>(_ found: Value, _ expected: Value, _ what: String) {
      guard found != expected else { return }
      differing += 1
      if differing <= 10 { Issue.record("\(what): \(found), expected \(expected)") }
    }
    for element in try root.array("texts").elements {
      cases += 1
      let text = try element.bytes("text")
      let name =
        "\"\(String(decoding: text, as: UTF8.self))\" (\(String(decoding: text, as: UTF8.self).unicodeScalars.map { String($0.value, radix: 16) }))"
      let ids = try element.ids("ids") ?? []
      expect(try tokenizer.encode(text), ids, name)
      expect(try tokenizer.encode(text, addSpecial: true), try element.ids("template") ?? ids, "\(name) with template")
      expect(try tokenizer.encode(text, parseSpecial: false), try element.ids("plain") ?? ids, "\(name) as plain text")
      try checkDecoding(element, ids, expect)
    }
    for element in try root.array("tokens").elements {
      cases += 1
      try checkDecoding(element, try element.ids("ids") ?? [], expect)
    }
    return (cases, differing)
  }

  private func checkDecoding(
    _ element: JSONValue, _ ids: [Int32], _ expect: ([UInt8], [UInt8], String) -> Void
  ) throws {
    let decoded = try element.bytes("decoded")
    let skipped = try element.optionalMember("skipped") == nil ? decoded : element.bytes("skipped")
    for (skips, expected) in [(false, decoded), (true, skipped)] {
      expect(
        try tokenizer.decode(ids, skipSpecial: skips), expected, "decoded \(ids)\(skips ? " without special" : "")")
      let streamed = try tokenizer.stream(ids, skipSpecial: skips)
      // What isn't UTF-8 stays as it is in a stream, so only then may they differ.
      if String(validating: streamed, as: UTF8.self) != nil {
        expect(streamed, expected, "streamed \(ids)\(skips ? " without special" : "")")
      }
    }
  }
}

extension JSONValue {
  fileprivate func bytes(_ key: String) throws -> [UInt8] {
    var bytes = try Vector<UInt8>(allocator: .system, purpose: "a test text")
    try member(key).appendText(to: &bytes)
    return bytes.array
  }

  fileprivate func ids(_ key: String) throws -> [Int32]? {
    guard let list = try optionalArray(key) else { return nil }
    return try list.elements.map { Int32(try $0.int(in: 0...Int(Int32.max))) }
  }
}
