import JSON
import Platform
import TestSupport
import Testing

@testable import Soups

/// A manifest with every key.
private let digest = String(repeating: "0123456789abcdef", count: 4)
private let example = #"""
  { "bonesoup": 1,
    "base": "base",
    "objectives": [ {"name": "brief", "label": "Brief", "description": "fewer words", "default": 0.4, "min": 0.0, "max": 1.0, "step": 0.05,
                     "floor": -0.5, "norm": {"mean": -61.2, "std": 18.4}},
                    {"name": "happy"} ],
    "backbones": [ {"path": "backbones/brief"}, {"path": "backbones/happy"} ],
    "matrix": {"rule": "bone", "beta": 0.7},
    "extrapolation": [1.0, 1.0],
    "method": {"name": "linear"},
    "guard": {"max_abs_coefficient": 3.0, "on_violation": "reject"},
    "presets": [ {"name": "Bedtime", "preference": {"brief": 0.2, "happy": 0.8}} ],
    "front": "front.json",
    "calibration": "calibration.json",
    "metadata": {"anything": "not read"},
    "checksums": {"base/model.safetensors": "sha256:…"} }
  """#
private let complete = replacing(example, "…", digest)

private func replacing(_ text: String, _ old: String, _ new: String) -> String {
  var result = ""
  var rest = text[...]
  while !rest.isEmpty {
    if rest.hasPrefix(old) {
      result += new
      rest = rest.dropFirst(old.count)
    } else {
      result.append(rest.removeFirst())
    }
  }
  return result
}

private func read(_ bytes: [UInt8]) throws -> SoupManifest {
  try bytes.withUnsafeBytes { try SoupManifest($0, file: "soup.json", allocator: .system) }
}

private func read(_ text: String) throws -> SoupManifest { try read(Array(text.utf8)) }

@Suite struct SoupManifestTests {
  @Test func everyKeyIsRead() throws {
    let manifest = try read(complete)
    #expect(manifest.base == "base")
    #expect(manifest.backbones == ["backbones/brief", "backbones/happy"])
    let brief = manifest.solver.objectives[0]
    #expect(brief.name == "brief" && brief.label == "Brief" && brief.description == "fewer words")
    #expect(brief.defaultValue == 0.4 && brief.minimum == 0 && brief.maximum == 1)
    #expect(brief.step == 0.05 && brief.floor == -0.5)
    #expect(try brief.normalization == Objective.Normalization(mean: -61.2, deviation: 18.4))
    #expect(manifest.solver.matrix.rows == [[0.7, 1 - 0.7], [1 - 0.7, 0.7]])
    #expect(manifest.solver.extrapolation.factors == [1, 1])
    #expect(manifest.solver.guardRails.maxAbsCoefficient == 3 && manifest.solver.guardRails.onViolation == .reject)
    #expect(manifest.presets == [Preset(name: "Bedtime", preference: [0.2, 0.8])])
    #expect(manifest.front == "front.json" && manifest.calibration == "calibration.json")
    #expect(manifest.checksums.map(\.path) == ["base/model.safetensors"])
    #expect(manifest.checksums.map(\.digest.description) == [digest])
    expectClose(manifest.solver.defaultPreference, [0.4, 0.6], 1e-15)
  }

  @Test func whatIsOptionalHasDefaults() throws {
    let manifest = try read(
      #"""
      {"bonesoup": 1, "base": "/models/b", "objectives": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
       "backbones": [{"path": "../x"}, {"path": "y"}], "matrix": [[0.5, 0.5, 0], [0, 0.25, 0.75]]}
      """#)
    let objective = manifest.solver.objectives[1]
    #expect(objective.label == "b" && objective.description.isEmpty && objective.defaultValue == nil)
    #expect(objective.minimum == 0 && objective.maximum == 1 && objective.step == 0.01)
    #expect(objective.floor == nil && objective.normalization == nil)
    #expect(manifest.solver.extrapolation.factors == [1, 1, 1])
    #expect(manifest.solver.guardRails == .none)
    #expect(manifest.presets.isEmpty && manifest.checksums.isEmpty)
    #expect(manifest.front == nil && manifest.calibration == nil)
    #expect(manifest.solver.matrix.rows == [[0.5, 0.5, 0], [0, 0.25, 0.75]])
    #expect(try read(with(#""matrix": {"rule": "identity"}"#)).solver.matrix.rows == [[1, 0], [0, 1]])
  }

  @Test(arguments: [
    (#""bonesoup": 1"#, #""bonesoup": 1, "colour": 1"#, "colour"),
    (#""name": "happy""#, #""name": "happy", "weight": 1"#, "objectives[1].weight"),
    (#""std": 18.4"#, #""std": 18.4, "median": 1"#, "objectives[0].norm.median"),
    (#"{"path": "backbones/happy""#, #"{"path": "x", "kind": "lora""#, "backbones[1].kind"),
    (#""beta": 0.7"#, #""beta": 0.7, "gamma": 1"#, "matrix.gamma"),
    (#"{"rule": "bone", "#, #"{"rule": "identity", "#, "matrix.beta"),
    (#""name": "linear""#, #""name": "linear", "normalize": true"#, "method.normalize"),
    (#""on_violation": "reject""#, #""mode": "reject""#, "guard.mode"),
    (#""name": "Bedtime""#, #""name": "Bedtime", "label": "x""#, "presets[0].label"),
  ]) func unknownKeyIsRefusedByName(old: String, new: String, path: String) {
    expectError(.malformed, containing: "soup.json", path, "known here are") { try read(replacing(complete, old, new)) }
  }

  @Test(arguments: ["base", "objectives", "backbones", "matrix", "bonesoup"])
  func missingKeyIsRefusedByName(key: String) {
    let hidden = replacing(complete, "\"\(key)\":", "\"metadata2\":")
    expectError(.malformed, containing: key == "bonesoup" ? "bonesoup is missing" : "metadata2") { try read(hidden) }
    let null = replacing(example, "\"\(key)\":", "\"\(key)\": null, \"metadata2\":")
    expectError(.malformed) { try read(null) }
  }

  @Test(arguments: [
    (#""bonesoup": 2"#, ErrorKind.unsupported, "bonesoup is 2"),
    (#""bonesoup": "1""#, .malformed, "must be a number"),
    (#""bonesoup": 1.5"#, .malformed, "must be an integer"),
    (#""base": """#, .malformed, "base is empty"),
    (#""base": "a\u0000b""#, .malformed, "U+0000"),
    (#""base": 1"#, .malformed, "must be a string"),
    (#""objectives": []"#, .malformed, "has 0 objectives"),
    (#""objectives": {"name": "x"}"#, .malformed, "must be an array"),
    (#""objectives": [1, 2]"#, .malformed, "must be an object"),
    (#""objectives": [{"name": "brief"}]"#, .mismatch, "2 backbones and 1 objectives"),
    (#""objectives": [{"name": "brief"}, {"name": "brief"}]"#, .malformed, "\"brief\""),
    (#""objectives": [{"name": "brief"}, {}]"#, .malformed, "objectives[1].name is missing"),
    (#""objectives": [{"name": "brief"}, {"name": ""}]"#, .malformed, "objectives[1]"),
    (#""objectives": [{"name": "brief"}, {"name": "a\nb"}]"#, .malformed, "U+A"),
    (#""objectives": [{"name": "brief"}, {"name": "happy", "label": "\u0000"}]"#, .malformed, "U+0000"),
    (#""objectives": [{"name": "brief"}, {"name": "happy", "min": 0.6, "max": 0.5}]"#, .guardRail, "\"happy\""),
    (#""objectives": [{"name": "brief"}, {"name": "happy", "min": -1}]"#, .malformed, "min is -1"),
    (#""objectives": [{"name": "brief"}, {"name": "happy", "max": 2}]"#, .malformed, "max is 2"),
    (#""objectives": [{"name": "brief"}, {"name": "happy", "default": 2}]"#, .malformed, "default is 2"),
    (#""objectives": [{"name": "brief"}, {"name": "happy", "step": 0}]"#, .malformed, "step is 0"),
    (#""objectives": [{"name": "brief"}, {"name": "happy", "norm": {"mean": 0, "std": 0}}]"#, .malformed, "std is 0"),
    (#""objectives": [{"name": "brief"}, {"name": "happy", "norm": {"mean": 0}}]"#, .malformed, "norm.std is missing"),
    (#""objectives": [{"name": "brief", "max": 0.4}, {"name": "happy", "max": 0.4}]"#, .guardRail, "max values"),
    (#""objectives": [{"name": "brief", "min": 0.6}, {"name": "happy", "min": 0.6}]"#, .guardRail, "min values"),
    (#""objectives": [{"name": "brief", "max": 0.1}, {"name": "happy"}]"#, .guardRail, "presets[0].preference"),
    (#""objectives": [{"name": "short"}, {"name": "happy"}]"#, .malformed, "no objective \"brief\""),
    (#""objectives": [{"name": "brief", "default": 0}, {"name": "happy", "default": 0}]"#, .malformed, "default"),
    (#""backbones": []"#, .malformed, "has 0 backbones"),
    (#""backbones": [{"path": ""}, {"path": "x"}]"#, .malformed, "backbones[0].path is empty"),
    (#""backbones": [{"path": "x"}]"#, .mismatch, "1 backbones and 2 objectives"),
    (#""matrix": [[1, 0]]"#, .mismatch, "1 rows, but there are 2 backbones"),
    (#""matrix": [[1, 0], [1]]"#, .mismatch, "matrix[1] has 1 numbers"),
    (#""matrix": [[1, 0], 1]"#, .malformed, "matrix[1] must be an array"),
    (#""matrix": [[1, 0], [0, "1"]]"#, .malformed, "matrix[1][1] must be a number"),
    (#""matrix": [[1, 0], [0, 1e999]]"#, .malformed, "1e999"),
    (#""matrix": [[1, 1], [1, 1]]"#, .unsolvable, "singular"),
    (#""matrix": {"rule": "bone", "beta": 0.5}"#, .unsolvable, "matrix"),
    (#""matrix": {"rule": "bone"}"#, .malformed, "beta is missing"),
    (#""matrix": {"rule": "circle"}"#, .malformed, "bone"),
    (#""matrix": "bone""#, .malformed, "rule"),
    (#""extrapolation": [1]"#, .mismatch, "1 factors"),
    (#""extrapolation": [1, 0.5]"#, .malformed, "0.5"),
    (#""extrapolation": [1, 9]"#, .guardRail, "max_abs_coefficient"),
    (#""extrapolation": 1"#, .malformed, "must be an array"),
    (#""method": {"name": "slerp"}"#, .unsupported, "method: slerp is for files"),
    (#""method": {"name": "sce"}"#, .unsupported, "does not use the coefficients"),
    (#""method": {"name": "logits"}"#, .unsupported, "while text is generated"),
    (#""method": {"name": "ties", "seed": -1}"#, .malformed, "seed"),
    (#""method": {"name": "ties", "parameters": {"weight": 1}}"#, .malformed, "leave weight out"),
    (#""method": {"name": "ties", "parameters": {"normalize": 1}}"#, .malformed, "leave normalize out"),
    (#""method": {"name": "ties", "parameters": {"heat": 1}}"#, .malformed, "no parameter \"heat\""),
    (#""method": {"name": "ties", "parameters": {"density": []}}"#, .malformed, "has 0 numbers"),
    (#""method": {"name": "ties", "parameters": {"density": [{"value": 1, "backbone": 2}]}}"#, .malformed, "backbone"),
    (#""method": {"name": "ties", "parameters": {"density": [{"filter": "mlp"}]}}"#, .malformed, "value is missing"),
    (#""method": {"name": "stir", "heat": 3}"#, .unsupported, "no merge method"),
    (#""method": {"name": "ties", "heat": 3}"#, .malformed, "method.heat is not known"),
    (#""method": {}"#, .malformed, "method.name is missing"),
    (#""guard": {"max_abs_coefficient": 0}"#, .malformed, "max_abs_coefficient is 0"),
    (#""guard": {"on_violation": "ignore"}"#, .malformed, "clamp"),
    (#""presets": [{"name": "x", "preference": {"brief": 0.2, "sad": 0.8}}]"#, .malformed, "\"brief\", \"happy\""),
    (#""presets": [{"name": "x", "preference": {"brief": 0.2}}]"#, .malformed, "sums to 0.2"),
    (#""presets": [{"name": "x", "preference": {"brief": -0.2, "happy": 1.2}}]"#, .malformed, "\"brief\" is -0.2"),
    (#""presets": [{"name": "x", "preference": {"brief": 0, "happy": 1, "a": 1}}]"#, .malformed, "3 values"),
    (#""presets": [{"name": "", "preference": {}}]"#, .malformed, "presets[0]"),
    (
      #""presets": [{"name": "x", "preference": {}}, {"name": "x", "preference": {}}]"#, .malformed,
      "presets[1] has the name \"x\""
    ),
    (#""front": """#, .malformed, "front is empty"),
    (#""checksums": {"a": "sha256:12"}"#, .malformed, "checksums.a"),
    (#""checksums": {"a": "md5:12"}"#, .malformed, "64 hexadecimal digits"),
    (#""checksums": ["a"]"#, .malformed, "must be an object"),
  ]) func badValueIsRefusedWithItsPlace(member: String, kind: ErrorKind, part: String) {
    expectError(kind, containing: "soup.json", part) { try read(with(member)) }
  }

  @Test func checksumOfTheDesignsEllipsisIsRefused() {
    expectError(.malformed, containing: "checksums.base/model.safetensors", "sha256:") { try read(example) }
  }

  @Test func emptyPresetIsTheDefaultPreference() throws {
    let manifest = try read(with(#""presets": [{"name": "x", "preference": {}}]"#))
    #expect(manifest.presets[0].preference == manifest.solver.defaultPreference)
  }

  @Test func metadataIsNotRead() throws {
    _ = try read(with(#""metadata": [1, {"bonesoup": {"deep": [null, true, "x"]}}]"#))
  }

  @Test func limitsOfCountsAndSize() throws {
    let objectives = (0..<64).map { "{\"name\": \"o\($0)\"}" }.joined(separator: ", ")
    let backbones = (0..<64).map { "{\"path\": \"b\($0)\"}" }.joined(separator: ", ")
    func text(_ objectives: String, _ backbones: String) -> String {
      "{\"bonesoup\": 1, \"base\": \"b\", \"objectives\": [\(objectives)], \"backbones\": [\(backbones)], "
        + "\"matrix\": {\"rule\": \"bone\", \"beta\": 0.6}}"
    }
    #expect(try read(text(objectives, backbones)).solver.matrix.backboneCount == 64)
    expectError(.malformed, containing: "65 objectives") {
      try read(text(objectives + ", {\"name\": \"o\"}", backbones))
    }
    expectError(.malformed, containing: "65 backbones") {
      try read(text(objectives, backbones + ", {\"path\": \"b\"}"))
    }
    expectError(.malformed, containing: "1048576") {
      try read([UInt8](repeating: UInt8(ascii: " "), count: SoupManifest.maximumBytes + 1))
    }
    for text in ["", "[]", "1", "null", "{}"] { expectError(.malformed) { try read(text) } }
  }

  /// Flipped, cut, doubled and swapped bytes: a status or a soup, and never a crash.
  @Test func hostileTextsAreRefusedOrRead() {
    var random = SplitMix(seed: 31)
    let original = Array(complete.utf8)
    let pieces = ["1e308", "-1e308", "1e-320", "null", "[", "]", "{", "}", "\"", ",", ":", "9", "0", "-", "\\u0000"]
    var read = 0
    for _ in 0..<6000 {
      var bytes = original
      for _ in 0...random.below(3) {
        let at = random.below(bytes.count)
        switch random.below(5) {
        case 0: bytes[at] ^= 1 << UInt8(random.below(8))
        case 1: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.below(20)))
        case 2: bytes.insert(contentsOf: pieces[random.below(pieces.count)].utf8, at: at)
        case 3: bytes.swapAt(at, random.below(bytes.count))
        default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + random.below(60))], at: random.below(at + 1))
        }
        if bytes.isEmpty { bytes = [0] }
      }
      do {
        let manifest = try readBuffer(bytes)
        _ = try? manifest.solver.resolve(preference: manifest.solver.defaultPreference, isFull: [true, true])
        read += 1
      } catch {
        #expect(!error.message.isEmpty && error.message.utf8.count < 2000)
        if case .internalFault = error { Issue.record(error) }
      }
    }
    #expect(read > 100)
  }

  /// Numbers of every size in the places of numbers.
  @Test func hostileNumbersAreRefusedOrResolved() {
    var random = SplitMix(seed: 32)
    let numbers = [
      "0", "-0", "1", "-1", "0.5", "1e308", "-1e308", "1.7976931348623157e308", "1e-308", "4.9e-324", "0.3333", "1e16",
      "9007199254740993", "0.99999999999999999", "1e-7", "2", "3e38", "3.5e38",
    ]
    for _ in 0..<3000 {
      func number() -> String { numbers[random.below(numbers.count)] }
      let text = """
        {"bonesoup": 1, "base": "b", "objectives": [{"name": "a"}, {"name": "b", "floor": \(number())}],
         "backbones": [{"path": "x"}, {"path": "y"}], "matrix": [[\(number()), \(number())], [\(number()), \(number())]],
         "extrapolation": [\(number()), \(number())]}
        """
      guard let manifest = try? read(text) else { continue }
      if let result = try? manifest.solver.resolve(preference: [0.25, 0.75], isFull: [true, true]) {
        #expect(result.coefficients.allSatisfy { Float($0).isFinite })
      }
    }
  }

  private func readBuffer(_ bytes: [UInt8]) throws(BoneSoupError) -> SoupManifest {
    let buffer = try Buffer(byteCount: bytes.count, allocator: .system, purpose: "the text")
    buffer.pointer.copyMemory(from: bytes, byteCount: bytes.count)
    return try SoupManifest(buffer.bytes, file: "soup.json", allocator: .system)
  }

  /// The complete manifest with one member in place of the one of that name.
  private func with(_ member: String) -> String {
    let name = member.dropFirst().prefix { $0 != "\"" }
    let members = [
      #""bonesoup": 1"#, #""base": "base""#,
      #""objectives": [{"name": "brief"}, {"name": "happy"}]"#,
      #""backbones": [{"path": "x"}, {"path": "y"}]"#, #""matrix": {"rule": "bone", "beta": 0.7}"#,
      #""extrapolation": [1.0, 1.0]"#, #""method": {"name": "linear"}"#,
      #""guard": {"max_abs_coefficient": 3.0}"#,
      #""presets": [{"name": "x", "preference": {"brief": 0.2, "happy": 0.8}}, {"name": "y", "preference": {"brief": 1}}]"#,
      #""front": "f""#, #""metadata": {}"#, #""checksums": {}"#,
    ]
    return "{" + members.map { $0.hasPrefix("\"\(name)\"") ? member : $0 }.joined(separator: ",\n") + "}"
  }
}
