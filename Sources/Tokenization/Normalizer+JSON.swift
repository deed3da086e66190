import JSON
import Platform

extension Normalizer {
  private static let supported = ["Sequence", "NFC", "NFD", "Prepend", "Replace", "Lowercase", "Strip"]

  /// Reads a file's `normalizer`; nil is none.
  init(_ value: JSONValue?) throws(BoneSoupError) {
    guard let value else { return }
    for component in try value.components(in: "normalizers") {
      switch try component.componentType {
      case "NFC":
        try component.requireMembers([])
        steps.append(.composed)
      case "NFD":
        try component.requireMembers([])
        steps.append(.decomposed)
      case "Prepend":
        try component.requireMembers(["prepend"])
        steps.append(.prepend(try component.componentText("prepend")))
      case "Replace":
        try component.requireMembers(["pattern", "content"])
        steps.append(
          .replace(
            pattern: try component.componentPattern("pattern"), with: try component.componentText("content")))
      case "Lowercase":
        try component.requireMembers([])
        steps.append(.lowercase)
      case "Strip":
        try component.requireMembers(["strip_left", "strip_right"])
        steps.append(.strip(left: try component.bool("strip_left"), right: try component.bool("strip_right")))
      case let type: throw component.unsupportedType(type, supported: Self.supported)
      }
    }
  }
}
