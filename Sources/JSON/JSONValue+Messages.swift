import Platform

extension JSONValue {
  /// Where the value is, as in `rope_scaling.factor` or `objectives[2].name`; empty for the root. Found by walking
  /// down the document, at most 200 bytes.
  public var path: String {
    var path = ""
    var container = 0
    while container < index {
      let parent = JSONValue(document: document, index: container)
      guard let (step, child) = parent.step(towards: index) else { break }
      path += parent.kind == .object && !path.isEmpty ? "." + step : step
      guard path.utf8.count <= 136 else { return path + "…" }
      container = child
    }
    return path
  }

  /// The name of the element or member of this container that holds the node `target` (a key stands for its member),
  /// and its index.
  private func step(towards target: Int) -> (String, Int)? {
    if kind == .object {
      for member in JSONMembers(self) where target < Int(member.value.node.next) {
        return (excerpt(member.key.rawBytes), member.value.index)
      }
    } else {
      for (position, element) in JSONElements(array: self).enumerated() where target < Int(element.node.next) {
        return ("[\(position)]", element.index)
      }
    }
    return nil
  }

  /// The error for a value that breaks its format: "config.json: rope_scaling.factor " and then `what`.
  public func malformed(_ what: String) -> BoneSoupError { .malformed(subject + what) }

  /// The error for a value that is valid and not supported, worded likewise.
  public func unsupported(_ what: String) -> BoneSoupError { .unsupported(subject + what) }

  private var subject: String {
    let path = self.path
    return path.isEmpty ? "\(document.file): the document " : "\(document.file): \(path) "
  }
}
