import Glibc
import JSON
import Platform
import TestSupport

@testable import Tokenization

/// The bytes of a file; nil where it cannot be read.
func contents(ofFile path: String) -> [UInt8]? {
  guard let file = fopen(path, "rb") else { return nil }
  defer { fclose(file) }
  guard fseek(file, 0, SEEK_END) == 0 else { return nil }
  let size = ftell(file)
  guard size >= 0, fseek(file, 0, SEEK_SET) == 0 else { return nil }
  return [UInt8](unsafeUninitializedCapacity: size) { bytes, count in count = fread(bytes.baseAddress, 1, size, file) }
}

/// Memory with these bytes, which lives as long as the object.
func buffer(_ bytes: some Collection<UInt8>) throws -> Buffer {
  let buffer = try Buffer(byteCount: bytes.count, allocator: .system, purpose: "a test text")
  for (index, byte) in bytes.enumerated() { buffer.pointer.storeBytes(of: byte, toByteOffset: index, as: UInt8.self) }
  return buffer
}

/// A document over a copy of these bytes.
func document(_ bytes: [UInt8], file: String) throws -> JSONDocument {
  let copy = try buffer(bytes)
  return try JSONDocument(copy.bytes, owner: copy, file: file, maximumBytes: 1 << 30, allocator: .system)
}

extension Vector {
  var array: [Element] { withExtendedLifetime(self) { Array(span) } }
}

extension Tokenizer {
  convenience init(_ json: some Collection<UInt8>, allocator: Allocator = .system) throws {
    let bytes = try buffer(json)
    try self.init(json: bytes.bytes, owner: bytes, file: "tokenizer.json", allocator: allocator)
  }

  convenience init(_ json: String) throws { try self.init(Array(json.utf8)) }

  convenience init(path: String) throws {
    guard let bytes = contents(ofFile: path) else { throw BoneSoupError.notFound(path) }
    try self.init(bytes)
  }

  func encode(
    _ text: some Collection<UInt8>, addSpecial: Bool = false, parseSpecial: Bool = true, monitor: Monitor = .none
  ) throws -> [Int32] {
    var ids = try Vector<Int32>(allocator: .system, purpose: "ids")
    try Array(text).withUnsafeBytes {
      try encode($0, addSpecial: addSpecial, parseSpecial: parseSpecial, into: &ids, monitor: monitor)
    }
    return ids.array
  }

  func encode(_ text: String, addSpecial: Bool = false, parseSpecial: Bool = true) throws -> [Int32] {
    try encode(Array(text.utf8), addSpecial: addSpecial, parseSpecial: parseSpecial)
  }

  func decode(_ ids: [Int32], skipSpecial: Bool = false) throws -> [UInt8] {
    var bytes = try Vector<UInt8>(allocator: .system, purpose: "text")
    try ids.withUnsafeBufferPointer { try decode($0, skipSpecial: skipSpecial, into: &bytes) }
    return bytes.array
  }

  func stream(_ ids: [Int32], skipSpecial: Bool = false) throws -> [UInt8] {
    var bytes = try Vector<UInt8>(allocator: .system, purpose: "text")
    var stream = makeStream(skipSpecial: skipSpecial)
    for id in ids { try stream.append(id, into: &bytes) }
    return bytes.array
  }
}

/// A `tokenizer.json` of a small vocabulary, with some of its parts replaced.
struct SampleFile {
  var added = "[]"
  var normalizer = "null"
  var preTokenizer = "null"
  var postProcessor = "null"
  var decoder = "null"
  var vocab = #"{"a": 0, "b": 1, "c": 2, " ": 3, "ab": 4, "abc": 5}"#
  var merges = #"["a b", ["ab", "c"]]"#
  var options = ""

  var json: String {
    """
    {"version": "1.0", "truncation": null, "padding": null, "added_tokens": \(added), "normalizer": \(normalizer),
     "pre_tokenizer": \(preTokenizer), "post_processor": \(postProcessor), "decoder": \(decoder),
     "model": {"type": "BPE", \(options)"vocab": \(vocab), "merges": \(merges)}}
    """
  }

  static func token(_ id: Int, _ content: String, _ flags: String = "") -> String {
    var all = ["single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false]
    for flag in flags.split(separator: " ") { all[String(flag)] = true }
    let members = all.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
    return #"{"id": \#(id), "content": "\#(content)", \#(members)}"#
  }
}

extension SampleFile {
  static let gpt2 = #"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}"#
  static let qwen2 = #"""
    {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex":
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}
    """#
}
