import JSON
import Platform

extension BytePairModel {
  /// Reads a file's `model`.
  init(_ value: JSONValue, file: String, allocator: Allocator, monitor: Monitor) throws(BoneSoupError) {
    let type = try value.optionalString("type", maxBytes: 100) ?? "BPE"
    guard type == "BPE" else { throw value.unsupportedType(type, supported: ["BPE"]) }
    let options = try Options(value, file: file)
    let vocabulary = try Vocabulary.read(
      value.object("vocab"), allocator: allocator, monitor: monitor.part(from: 0, to: 0.4))
    let merges = try MergeTable.read(
      value.array("merges"), vocabulary, allocator: allocator, monitor: monitor.part(from: 0.4, to: 1))
    self.init(vocabulary: vocabulary, merges: merges, options: options)
  }
}

extension BytePairModel.Options {
  init(_ value: JSONValue, file: String) throws(BoneSoupError) {
    try value.requireMembers([
      "vocab", "merges", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
      "byte_fallback", "ignore_merges",
    ])
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      let text = try value.optionalString(name, maxBytes: JSONValue.componentTextLimit) ?? ""
      guard text.isEmpty else { throw try value.member(name).unsupported("is \"\(text)\"; only \"\" is supported") }
    }
    if let dropout = try value.optionalMember("dropout"), try dropout.double != 0 {
      throw dropout.unsupported("must be null: encoding is deterministic here")
    }
    self.file = file
    unknownPiece = try value.optionalString("unk_token", maxBytes: AddedTokens.contentLimit).map { Array($0.utf8) }
    fusesUnknown = try value.optionalBool("fuse_unk") ?? false
    fallsBackToBytes = try value.optionalBool("byte_fallback") ?? false
    ignoresMerges = try value.optionalBool("ignore_merges") ?? false
  }
}

extension Vocabulary {
  /// Reads a model's `vocab`, an object of ids by piece.
  static func read(
    _ value: JSONValue, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) -> Vocabulary {
    try value.requireCount(atMost: Self.idLimit)
    var made = try Vocabulary(pieceCount: value.count, allocator: allocator)
    var decoded = try Vector<UInt8>(allocator: allocator, purpose: "a piece of the vocabulary")
    var index = 0
    for member in try value.members {
      if index & 0x3FF == 0 { try monitor.report(Double(index) / Double(max(value.count, 1))) }
      index &+= 1
      decoded.removeAll()
      let piece = try member.key.bytes(decoded: &decoded)
      let id = try member.value.int(in: 0...Self.idLimit - 1)
      switch try made.insert(piece, id: id, isFound: true) {
      case .done: break
      case .duplicatePiece: throw member.value.malformed("is the second id of a piece")
      case .duplicateId:
        throw member.value.malformed(
          "is the id \(id), which \"\(made[id].map { excerpt($0) } ?? "")\" already has")
      }
    }
    return made
  }
}

extension MergeTable {
  /// Reads a model's `merges`, pairs of pieces: `"a b"` or `["a", "b"]`.
  static func read(
    _ value: JSONValue, _ vocabulary: borrowing Vocabulary, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) -> MergeTable {
    try value.requireCount(atMost: Vocabulary.idLimit)
    var made = try MergeTable(limit: value.count, allocator: allocator)
    var text = try Vector<UInt8>(allocator: allocator, purpose: "a merge")
    var index = 0
    for merge in try value.elements {
      if index & 0x3FF == 0 { try monitor.report(Double(index) / Double(max(value.count, 1))) }
      index &+= 1
      text.removeAll()
      guard let split = try merge.appendMerge(to: &text) else { continue }
      let left = UTF8Bytes(rebasing: text.span[..<split])
      let right = UTF8Bytes(rebasing: text.span[split...])
      made.append(
        left: try merge.id(of: left, in: vocabulary), right: try merge.id(of: right, in: vocabulary),
        result: try merge.id(of: text.span, in: vocabulary))
    }
    return made
  }
}

extension JSONValue {
  /// Before memory is taken for all of them.
  fileprivate func requireCount(atMost limit: Int) throws(BoneSoupError) {
    guard count <= limit else { throw unsupported("has \(count) entries; at most \(limit) are supported") }
  }

  /// A string's decoded bytes: where they stand in the file, or in `decoded`.
  fileprivate func bytes(decoded: inout Vector<UInt8>) throws(BoneSoupError) -> UTF8Bytes {
    guard hasEscapes else { return rawBytes.bindMemory(to: UInt8.self) }
    try appendText(to: &decoded)
    return decoded.span
  }

  /// Appends both pieces of a merge, one after the other, and returns the first one's length; nil for the heading
  /// `#version…` of an old file.
  fileprivate func appendMerge(to text: inout Vector<UInt8>) throws(BoneSoupError) -> Int? {
    if kind == .array {
      let elements = try elements
      var pieces = elements.makeIterator()
      guard count == 2, let left = pieces.next(), let right = pieces.next() else {
        throw malformed("must be two pieces, is \(count)")
      }
      try left.appendText(to: &text)
      let split = text.count
      try right.appendText(to: &text)
      return split
    }
    guard kind == .string else { throw malformed("must be two pieces in an array or in a string") }
    try appendText(to: &text)
    if text.span.starts(with: "#version".utf8) { return nil }
    guard let split = text.span.firstIndex(of: 0x20), text.span[(split + 1)...].firstIndex(of: 0x20) == nil else {
      throw malformed("is \"\(excerpt(text.span))\", which is not two pieces with one space between")
    }
    let end = text.count
    (text.elements + split).update(from: text.elements + split + 1, count: end - split - 1)
    text.truncate(to: end - 1)
    return split
  }

  fileprivate func id(of piece: UTF8Bytes, in vocabulary: borrowing Vocabulary) throws(BoneSoupError) -> UInt32 {
    guard let id = vocabulary.id(of: piece) else {
      throw malformed("needs \"\(excerpt(piece))\", which is not in the vocabulary")
    }
    return id
  }
}
