import Platform

/// Bytes of UTF-8 that the name of an objective or preset may have.
let nameLimit = 64

/// Throws `.invalidArgument` for a name that is empty, longer than `nameLimit` bytes, or has control characters.
func checkName(_ name: String, of subject: StaticString) throws(BoneSoupError) {
  guard !name.isEmpty else { throw .invalidArgument("the name of \(subject) is empty") }
  guard name.utf8.count <= nameLimit else {
    throw .invalidArgument(
      "the name of \(subject) has \(name.utf8.count) bytes, at most \(nameLimit) are allowed: \"\(excerpt(name))\"")
  }
  for scalar in name.unicodeScalars where scalar.properties.generalCategory == .control {
    throw .invalidArgument(
      "the name of \(subject) has the control character U+\(String(scalar.value, radix: 16, uppercase: true)); "
        + "leave it out")
  }
}

/// At most 200 bytes of a text for an error message.
func excerpt(_ text: String) -> String {
  text.utf8.count <= 200 ? text : String(text.unicodeScalars.prefix(49)) + "…"
}
