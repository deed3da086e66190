import Platform

extension JSONDocument {
  /// Throws where an object has two members of the same name, escapes decoded.
  ///
  /// Sorts each object's keys: unlike hashing, that has no input that makes it slow. Called for texts up to
  /// `duplicateKeyLimit`, which bounds the array.
  func refuseDuplicateKeys() throws(BoneSoupError) {
    var keys: [JSONText] = []
    for index in 0..<nodeCount where nodes[index].kind == .object && nodes[index].count > 1 {
      keys.removeAll(keepingCapacity: true)
      for member in JSONMembers(JSONValue(document: self, index: index)) { keys.append(member.key.characters) }
      keys.sort { $0.precedes($1) }
      for index in 1..<keys.count where !keys[index - 1].precedes(keys[index]) {
        let name = excerpt(keys[index].raw)
        throw .malformed("\(file):\(location(of: keys[index])): the key \"\(name)\" appears twice in one object")
      }
    }
  }

  private func location(of key: JSONText) -> String {
    guard let start = key.raw.baseAddress, let base = text.baseAddress else { return "1:1" }
    return jsonLocation(text, at: start - base)
  }
}
