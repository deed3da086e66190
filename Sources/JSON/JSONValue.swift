import Platform

/// One value of a document. Cheap to copy; keeps the document alive.
public struct JSONValue: Sendable {
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    case null, bool, number, string, array, object

    /// With its article, for messages.
    var name: String {
      switch self {
      case .null: "null"
      case .bool: "a boolean"
      case .number: "a number"
      case .string: "a string"
      case .array: "an array"
      case .object: "an object"
      }
    }
  }

  let document: JSONDocument
  /// On the tape; always one of its nodes.
  let index: Int

  var node: JSONNode { document.nodes[index] }

  public var kind: Kind { node.kind }
  public var isNull: Bool { kind == .null }

  /// Elements of an array, members of an object; 0 for the others.
  public var count: Int { kind == .array || kind == .object ? Int(node.count) : 0 }

  /// The scalar's text: a string's without the quotes and with escapes as written, a number as written. Valid as long as
  /// the document.
  public var scalarText: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: document.text[Int(node.start)..<Int(node.start) + Int(node.count)])
  }

  func require(_ wanted: Kind) throws(BoneSoupError) {
    guard kind == wanted else { throw malformed("must be \(wanted.name), is \(kind.name)") }
  }

  public var bool: Bool {
    get throws(BoneSoupError) {
      try require(.bool)
      return node.count == 4
    }
  }
}
