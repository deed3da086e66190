import JSON
import Platform

extension Decoder {
  private static let supported = [
    "Sequence", "ByteLevel", "ByteFallback", "Fuse", "Replace", "Strip", "Metaspace",
  ]

  /// Reads a file's `decoder`; nil is none.
  init(_ value: JSONValue?) throws(BoneSoupError) {
    guard let value else {
      joinsBySpace = true
      return
    }
    var isFused = false
    for component in try value.components(in: "decoders") {
      let type = try component.componentType
      let isPerPiece = form == .text && !isFused
      switch type {
      case "Fuse":
        try component.requireMembers([])
        isFused = true
      case "ByteFallback" where isPerPiece:
        try component.requireMembers([])
        form = .byteFallback
      case "ByteLevel" where isPerPiece:
        try component.requireMembers(["add_prefix_space", "use_regex", "trim_offsets"])
        form = .byteLevel
        isFused = true
      case "Replace" where isPerPiece:
        try component.requireMembers(["pattern", "content"])
        steps.append(
          .replace(
            pattern: try component.componentPattern("pattern"), with: try component.componentText("content")))
      case "Metaspace" where isPerPiece:
        try component.requireMembers(["replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"])
        let dropsInFirst = try MetaspacePrefix(component) != .never
        steps.append(.metaspace(try component.componentCharacter("replacement"), dropsInFirst: dropsInFirst))
      case "Strip" where isPerPiece || isFused:
        try readStrip(component, isFused: isFused)
      case let type where Self.supported.contains(type):
        throw component.unsupported("is a \(type) after the pieces were joined, which is not supported")
      default: throw component.unsupportedType(type, supported: Self.supported)
      }
    }
  }

  private mutating func readStrip(_ component: JSONValue, isFused: Bool) throws(BoneSoupError) {
    try component.requireMembers(["content", "start", "stop"])
    let character = try component.componentCharacter("content")
    let start = try component.int("start", in: 0...1024)
    let stop = try component.int("stop", in: 0...1024)
    guard isFused else { return steps.append(.strip(character, start: start, stop: stop)) }
    guard stop == 0, character.count == 1, stripCount == 0 else {
      throw component.unsupported(
        "strips the whole text; supported is that once, at the start, for an ASCII character")
    }
    (stripByte, stripCount) = (character[0], start)
  }
}
