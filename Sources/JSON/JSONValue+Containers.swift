import Platform

extension JSONValue {
  /// An array's elements, to iterate over; throws for other kinds.
  public var elements: JSONElements {
    get throws(BoneSoupError) {
      try require(.array)
      return JSONElements(array: self)
    }
  }

  /// An object's members, to iterate over; throws for other kinds.
  public var members: JSONMembers {
    get throws(BoneSoupError) {
      try require(.object)
      return JSONMembers(self)
    }
  }

  /// An object's first member of that name; nil where there is none, and for other kinds. Looks at each member.
  public subscript(key: String) -> JSONValue? {
    for member in JSONMembers(self) where member.key.equals(key) { return member.value }
    return nil
  }

  /// Refuses, by its name, the first member that `known` does not list.
  public func refuseMembers(except known: [String]) throws(BoneSoupError) {
    for member in try members where !known.contains(where: { member.key.equals($0) }) {
      throw member.value.malformed("is not known; known here are \(known.joined(separator: ", "))")
    }
  }
}
