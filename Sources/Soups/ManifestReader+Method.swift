import JSON
import Platform

/// The merge method.
extension ManifestReader {
  /// {"name": …, "parameters": {…}, "seed": …}; nil is the plain sum.
  func method(_ object: JSONValue?, backboneCount: Int) throws(BoneSoupError) -> BlendMethod? {
    guard let object else { return nil }
    let name = try object.member("name")
    let text = try name.text(maxBytes: SoupManifest.maximumBytes)
    if text == "logits" {
      throw name.unsupported("is \"logits\", which mixes predictions while text is generated, and makes no weights")
    }
    guard MergeMethods.declarations.contains(where: { $0.name == text }) else {
      throw name.unsupported("is \"\(excerpt(text))\", which is no merge method known here")
    }
    try object.refuseMembers(except: ["name", "parameters", "seed"])
    let settings = try settings(object.optionalObject("parameters"), backboneCount: backboneCount)
    let seed = try object.optionalInt("seed", in: 0...Int.max) ?? 0
    return try at(object) { () throws(BoneSoupError) in
      try BlendMethod.make(text, settings: settings, seed: UInt64(seed))
    }
  }

  /// Each a number, a gradient over the layers, or a list of {"value", "filter", "backbone"}.
  private func settings(
    _ object: JSONValue?, backboneCount: Int
  ) throws(BoneSoupError) -> [ParameterSetting] {
    guard let object else { return [] }
    var settings: [ParameterSetting] = []
    for member in try object.members {
      let name = try member.key.text(maxBytes: 256)
      guard settings.count < MergeRecipe.settingLimit else { throw object.malformed("has too many values") }
      if member.value.kind == .array, let first = try firstElement(member.value), first.kind == .object {
        for element in try member.value.elements {
          try element.refuseMembers(except: ["value", "filter", "backbone"])
          settings.append(
            ParameterSetting(
              name, model: try element.optionalInt("backbone", in: 0...max(backboneCount - 1, 0)),
              filter: try element.optionalString("filter", maxBytes: 4096),
              values: try numbers(element.member("value"))))
        }
      } else {
        settings.append(ParameterSetting(name, values: try numbers(member.value)))
      }
    }
    return settings
  }

  private func firstElement(_ array: JSONValue) throws(BoneSoupError) -> JSONValue? {
    var elements = try array.elements.makeIterator()
    return elements.next()
  }

  private func numbers(_ value: JSONValue) throws(BoneSoupError) -> [Double] {
    guard value.kind == .array else { return [value.kind == .bool ? (try value.bool ? 1 : 0) : try value.double] }
    guard value.count >= 1, value.count <= 1024 else {
      throw value.malformed("has \(value.count) numbers; 1 to 1024 are possible")
    }
    var numbers: [Double] = []
    for element in try value.elements { numbers.append(try element.double) }
    return numbers
  }
}
