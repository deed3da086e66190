import JSON
import Kernels
import Platform

/// The text of a `config.json`, in which single members are set and all else stays as it is written.
struct ConfigText: ~Copyable {
  private static let maximumBytes = 1 << 20

  private let name: String
  private let allocator: Allocator
  private var text: Vector<UInt8>

  init(
    of folder: FileProvider, name: String, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) {
    let file = try folder.open(name, maximumBytes: Self.maximumBytes, allocator: allocator, monitor: monitor)
    var text = try Vector<UInt8>(
      capacity: file.bytes.count + 128, allocator: allocator, purpose: "the text of config.json")
    try text.append(contentsOf: file.bytes.bindMemory(to: UInt8.self))
    self.name = file.name
    self.allocator = allocator
    self.text = text
  }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(text.span) }

  /// Replaces the value of a member, or adds it.
  ///
  /// - Parameters:
  ///   - other: a second name of the same thing, whose value is replaced as well.
  ///   - literal: JSON.
  mutating func set(_ key: String, _ other: String? = nil, to literal: String) throws(BoneSoupError) {
    let document = try JSONDocument(
      bytes, owner: allocator, file: name, maximumBytes: 2 * Self.maximumBytes, allocator: allocator)
    guard let start = bytes.baseAddress else { return }
    var changed = try Vector<UInt8>(
      capacity: text.count + 128, allocator: allocator, purpose: "the text of config.json")
    var done = 0
    var isThere = false
    for member in try document.root.members where member.key.equals(key) || member.key.equals(other ?? key) {
      let old = member.value.scalarText
      // An object or array in its place is none of ours.
      guard let first = old.baseAddress.map({ $0 - start }), member.value.kind != .object, member.value.kind != .array
      else { continue }
      let quote = member.value.kind == .string ? 1 : 0
      guard first - quote >= done, first + old.count + quote <= text.count else { continue }
      try changed.append(bytes: bytes[done..<(first - quote)])
      try changed.append(text: literal)
      done = first + old.count + quote
      isThere = true
    }
    if !isThere, let brace = bytes.firstIndex(of: UInt8(ascii: "{")) {
      try changed.append(bytes: bytes[..<(brace + 1)])
      try changed.append(text: "\n  \"\(key)\": \(literal)" + (document.root.count > 0 ? "," : ""))
      done = brace + 1
    }
    try changed.append(bytes: bytes[done...])
    text = changed
  }

  /// Replaces the elements of a list of texts; leaves the config as it is where it has no such list.
  mutating func replaceList(_ key: String, by items: [String]) throws(BoneSoupError) {
    let document = try JSONDocument(
      bytes, owner: allocator, file: name, maximumBytes: 2 * Self.maximumBytes, allocator: allocator)
    guard let start = bytes.baseAddress, let list = document.root[key], list.kind == .array else { return }
    var range: Range<Int>?
    for element in try list.elements {
      guard element.kind == .string, let first = element.scalarText.baseAddress.map({ $0 - start - 1 }) else { return }
      range = (range?.lowerBound ?? first)..<first + element.scalarText.count + 2
    }
    guard let range, range.lowerBound >= 0, range.upperBound <= text.count else { return }
    var changed = try Vector<UInt8>(
      capacity: text.count + 128, allocator: allocator, purpose: "the text of config.json")
    try changed.append(bytes: bytes[..<range.lowerBound])
    for (index, item) in items.enumerated() { try changed.append(text: (index == 0 ? "\"" : ", \"") + item + "\"") }
    try changed.append(bytes: bytes[range.upperBound...])
    text = changed
  }
}

extension Vector where Element == UInt8 {
  fileprivate mutating func append(bytes: Slice<UnsafeRawBufferPointer>) throws(BoneSoupError) {
    try append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes).bindMemory(to: UInt8.self))
  }
}

extension ElementType {
  /// As `config.json` writes it.
  var torchName: String {
    switch self {
    case .f32: "float32"
    case .f16: "float16"
    case .bf16: "bfloat16"
    }
  }
}
