import JSON
import Platform

/// The ids around an encoded text: the file's `post_processor`.
struct Template: Sendable {
  var before: [Int32] = []
  var after: [Int32] = []

  /// More ids on a side are refused.
  private static let limit = 64
  private static let supported = ["Sequence", "TemplateProcessing", "ByteLevel"]

  /// Reads a file's `post_processor`; nil is none. Of a template the form for a single text counts.
  init(_ value: JSONValue?) throws(BoneSoupError) {
    guard let value else { return }
    for component in try value.components(in: "processors") {
      switch try component.componentType {
      case "ByteLevel": break
      case "TemplateProcessing": try read(component)
      case let type: throw component.unsupportedType(type, supported: Self.supported)
      }
    }
  }

  private mutating func read(_ component: JSONValue) throws(BoneSoupError) {
    var inner: (before: [Int32], after: [Int32]) = ([], [])
    var texts = 0
    let single = try component.array("single")
    for part in try single.elements {
      if let token = try part.optionalObject("SpecialToken") {
        let ids = try Self.ids(of: token, in: component)
        if texts == 0 { inner.before += ids } else { inner.after += ids }
      } else {
        guard try part.object("Sequence").string("id", maxBytes: 10) == "A" else {
          throw part.malformed("names another text than A in the form for one text")
        }
        texts += 1
      }
      guard inner.before.count + inner.after.count <= Self.limit else {
        throw single.unsupported("adds more than \(Self.limit) special tokens")
      }
    }
    guard texts == 1 else { throw single.unsupported("has the text \(texts) times, which is not supported") }
    before = inner.before + before
    after += inner.after
  }

  private static func ids(of token: JSONValue, in component: JSONValue) throws(BoneSoupError) -> [Int32] {
    let name = try token.string("id", maxBytes: AddedTokens.contentLimit)
    guard let special = try component.object("special_tokens")[name] else {
      throw token.malformed("names \(name), which is not in special_tokens")
    }
    let ids = try special.array("ids")
    guard ids.count <= limit else { throw ids.unsupported("has more than \(limit) ids") }
    var result: [Int32] = []
    for id in try ids.elements { result.append(Int32(try id.int(in: 0...Vocabulary.idLimit - 1))) }
    return result
  }
}
