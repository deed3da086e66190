/// The elements of an array in order; empty for other kinds.
public struct JSONElements: Sequence {
  let array: JSONValue

  public struct Iterator: IteratorProtocol {
    let document: JSONDocument
    var index: Int
    let end: Int

    public mutating func next() -> JSONValue? {
      guard index < end else { return nil }
      let value = JSONValue(document: document, index: index)
      index = Int(document.nodes[index].next)
      return value
    }
  }

  public func makeIterator() -> Iterator {
    Iterator(
      document: array.document, index: array.index + 1,
      end: array.kind == .array ? Int(array.node.next) : 0)
  }
}
