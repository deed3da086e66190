import JSON
import Platform

/// Reads the parts of `soup.json`.
struct ManifestReader {
  /// Names the manifest in messages.
  let file: String

  /// Runs a check of the library's own types, and gives its error the place of `value`.
  func at<Result>(
    _ value: JSONValue, _ body: () throws(BoneSoupError) -> Result
  ) throws(BoneSoupError) -> Result {
    do {
      return try body()
    } catch {
      let path = value.path
      let text = path.isEmpty ? "\(file): \(error.message)" : "\(file): \(path): \(error.message)"
      switch error {
      case .invalidArgument, .notFound: throw .malformed(text)
      case .mismatch: throw .mismatch(text)
      case .guardRail: throw .guardRail(text)
      case .unsolvable: throw .unsolvable(text)
      case .unsupported: throw .unsupported(text)
      default: throw error
      }
    }
  }

  func path(_ value: JSONValue) throws(BoneSoupError) -> String {
    let path = try text(value, maxBytes: SoupManifest.pathLimit)
    guard !path.isEmpty else { throw value.malformed("is empty; it must be a path") }
    return path
  }

  func optionalPath(_ value: JSONValue?) throws(BoneSoupError) -> String? {
    guard let value else { return nil }
    return try path(value)
  }

  /// A text that can become a C string.
  private func text(_ value: JSONValue, maxBytes: Int) throws(BoneSoupError) -> String {
    let text = try value.text(maxBytes: maxBytes)
    guard !text.utf8.contains(0) else { throw value.malformed("has the character U+0000; leave it out") }
    return text
  }

  private func optionalText(_ object: JSONValue, _ key: String) throws(BoneSoupError) -> String? {
    guard let value = try object.optionalMember(key) else { return nil }
    return try text(value, maxBytes: SoupManifest.maximumBytes)
  }

  private func checkCount(_ array: JSONValue, of subject: StaticString) throws(BoneSoupError) {
    guard array.count >= 1, array.count <= BackboneMatrix.countLimit else {
      throw array.malformed("has \(array.count) \(subject); 1 to \(BackboneMatrix.countLimit) are allowed")
    }
  }

  func backbones(_ array: JSONValue) throws(BoneSoupError) -> [String] {
    try checkCount(array, of: "backbones")
    var paths: [String] = []
    for backbone in try array.elements {
      try backbone.refuseMembers(except: ["path"])
      paths.append(try path(backbone.member("path")))
    }
    return paths
  }

  func objectives(_ array: JSONValue) throws(BoneSoupError) -> [Objective] {
    try checkCount(array, of: "objectives")
    var objectives: [Objective] = []
    for value in try array.elements { objectives.append(try objective(value)) }
    return objectives
  }

  private func objective(_ value: JSONValue) throws(BoneSoupError) -> Objective {
    try value.refuseMembers(except: [
      "name", "label", "description", "default", "min", "max", "step", "floor", "norm",
    ])
    let name = try value.string("name", maxBytes: SoupManifest.maximumBytes)
    var objective = try at(value) { () throws(BoneSoupError) in try Objective(name: name) }
    if let label = try optionalText(value, "label") { objective.label = label }
    if let description = try optionalText(value, "description") { objective.description = description }
    objective.defaultValue = try value.optionalDouble("default")
    if let minimum = try value.optionalDouble("min") { objective.minimum = minimum }
    if let maximum = try value.optionalDouble("max") { objective.maximum = maximum }
    if let step = try value.optionalDouble("step") { objective.step = step }
    objective.floor = try value.optionalDouble("floor")
    if let norm = try value.optionalObject("norm") {
      try norm.refuseMembers(except: ["mean", "std"])
      let (mean, deviation) = (try norm.double("mean"), try norm.double("std"))
      objective.normalization = try at(norm) { () throws(BoneSoupError) in
        try Objective.Normalization(mean: mean, deviation: deviation)
      }
    }
    try at(value) { () throws(BoneSoupError) in try objective.check() }
    return objective
  }
}
