import JSON
import Platform

/// Reading the components of a `tokenizer.json`, each an object with a `type`.
extension JSONValue {
  /// More steps in a chain, or longer texts in a step, are refused.
  static let componentLimit = 64
  static let componentTextLimit = 4096

  /// The name of the component's type.
  var componentType: String {
    get throws(BoneSoupError) { try string("type", maxBytes: 100) }
  }

  /// The error for a type that isn't supported.
  func unsupportedType(_ type: String, supported: [String]) -> BoneSoupError {
    unsupported("has the type \(type), which is not supported; supported are \(supported.joined(separator: ", "))")
  }

  /// Throws where the component has a member that changes what it does in a way not known here.
  func requireMembers(_ known: [String]) throws(BoneSoupError) {
    for member in try members where !known.contains(where: { member.key.equals($0) }) && !member.key.equals("type") {
      throw unsupported("has the option \(try member.key.text(maxBytes: 200)), which is not supported")
    }
  }

  /// A text of a step.
  func componentText(_ key: String) throws(BoneSoupError) -> [UInt8] {
    Array(try string(key, maxBytes: Self.componentTextLimit).utf8)
  }

  /// A text of exactly one character.
  func componentCharacter(_ key: String) throws(BoneSoupError) -> [UInt8] {
    let text = try string(key, maxBytes: Self.componentTextLimit)
    guard text.unicodeScalars.count == 1 else { throw try member(key).malformed("must be one character") }
    return Array(text.utf8)
  }

  /// A pattern that is a plain text, `{"String": …}`; a regular expression is refused with its text.
  func componentPattern(_ key: String) throws(BoneSoupError) -> [UInt8] {
    let pattern = try member(key)
    if let expression = try pattern.optionalString("Regex", maxBytes: Self.componentTextLimit) {
      throw pattern.unsupported("is the regular expression \(expression), which is not supported")
    }
    let text = try pattern.componentText("String")
    guard !text.isEmpty else { throw pattern.unsupported("is empty, which is not supported") }
    return text
  }

  /// The steps of a component: itself, or those of a `Sequence`, whose list has the name `list`, and of those in it.
  func components(in list: String) throws(BoneSoupError) -> [JSONValue] {
    var found: [JSONValue] = []
    try appendComponents(in: list, to: &found)
    return found
  }

  private func appendComponents(in list: String, to found: inout [JSONValue]) throws(BoneSoupError) {
    guard try componentType == "Sequence" else {
      guard found.count < Self.componentLimit else {
        throw unsupported("is one step more than the \(Self.componentLimit) that are supported")
      }
      return found.append(self)
    }
    try requireMembers([list])
    for step in try array(list).elements { try step.appendComponents(in: list, to: &found) }
  }
}
