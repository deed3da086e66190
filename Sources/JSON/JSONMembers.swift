/// The members of an object in order; empty for other kinds.
public struct JSONMembers: Sequence {
  let object: JSONValue

  /// A key, which is a string value, and its value.
  public struct Member: Sendable {
    public let key: JSONValue
    public let value: JSONValue
  }

  public struct Iterator: IteratorProtocol {
    let document: JSONDocument
    var index: Int
    let end: Int

    public mutating func next() -> Member? {
      guard index < end else { return nil }
      let member = Member(
        key: JSONValue(document: document, index: index), value: JSONValue(document: document, index: index + 1))
      index = Int(document.nodes[index + 1].next)
      return member
    }
  }

  init(_ object: JSONValue) { self.object = object }

  public func makeIterator() -> Iterator {
    Iterator(
      document: object.document, index: object.index + 1,
      end: object.kind == .object ? Int(object.node.next) : 0)
  }
}
