/// One value of a document on its tape, in document order: a container is followed by its elements, a member by its
/// key (a string node) and then its value.
struct JSONNode: BitwiseCopyable {
  /// Offset of the value's text in the document; for a string, of the byte after the opening quote.
  var start: UInt32
  /// Bytes of the text for strings (without quotes) and numbers; elements or members for containers.
  var count: UInt32
  /// Index of the node after this value and all it contains.
  var next: UInt32
  var kind: JSONValue.Kind
  var hasEscapes = false
}
