import JSON
import Platform

/// Matrix, extrapolation, guard rails, presets, method and checksums.
extension ManifestReader {
  func matrix(
    _ value: JSONValue, backboneCount: Int, objectiveCount: Int
  ) throws(BoneSoupError) -> BackboneMatrix {
    if value.kind == .array {
      let rows = try rows(value, backboneCount, objectiveCount)
      return try at(value) { () throws(BoneSoupError) in try BackboneMatrix(rows: rows) }
    }
    guard value.kind == .object else {
      throw value.malformed("must be a rule, as in {\"rule\": \"bone\", \"beta\": 0.7}, or rows of numbers")
    }
    let rule = try value.member("rule")
    guard rule.equals("bone") || rule.equals("identity") else {
      throw rule.malformed("must be \"bone\" or \"identity\"; for any other matrix write its rows of numbers")
    }
    guard backboneCount == objectiveCount else {
      throw .mismatch(
        "\(file): \(value.path): a rule needs as many backbones as objectives, but there are \(backboneCount) "
          + "backbones and \(objectiveCount) objectives; write the matrix's rows of numbers")
    }
    guard rule.equals("bone") else {
      try value.refuseMembers(except: ["rule"])
      return try at(value) { () throws(BoneSoupError) in try BackboneMatrix.identity(count: backboneCount) }
    }
    try value.refuseMembers(except: ["rule", "beta"])
    let beta = try value.double("beta")
    return try at(value) { () throws(BoneSoupError) in try BackboneMatrix.bone(beta: beta, count: backboneCount) }
  }

  private func rows(
    _ value: JSONValue, _ backboneCount: Int, _ objectiveCount: Int
  ) throws(BoneSoupError) -> [[Double]] {
    guard value.count == backboneCount else {
      throw .mismatch("\(file): \(value.path) has \(value.count) rows, but there are \(backboneCount) backbones")
    }
    var rows: [[Double]] = []
    for row in try value.elements {
      // Its kind is checked before its count, which is 0 for what is not an array.
      let elements = try row.elements
      guard row.count == objectiveCount else {
        throw .mismatch("\(file): \(row.path) has \(row.count) numbers, but there are \(objectiveCount) objectives")
      }
      var numbers: [Double] = []
      for element in elements { numbers.append(try element.double) }
      rows.append(numbers)
    }
    return rows
  }

  func extrapolation(_ array: JSONValue?, _ matrix: BackboneMatrix) throws(BoneSoupError) -> Extrapolation? {
    guard let array else { return nil }
    guard array.count == matrix.objectiveCount else {
      throw .mismatch(
        "\(file): \(array.path) has \(array.count) factors, but there are \(matrix.objectiveCount) objectives")
    }
    var factors: [Double] = []
    for element in try array.elements { factors.append(try element.double) }
    return try at(array) { () throws(BoneSoupError) in try Extrapolation(factors: factors, matrix: matrix) }
  }

  func guardRails(_ object: JSONValue?) throws(BoneSoupError) -> GuardRails {
    guard let object else { return .none }
    try object.refuseMembers(except: ["max_abs_coefficient", "on_violation"])
    var policy = GuardRails.none.onViolation
    if let value = try object.optionalMember("on_violation") {
      guard let known = GuardRails.Policy.allCases.first(where: { value.equals($0.rawValue) }) else {
        throw value.malformed("must be \"reject\" or \"clamp\"")
      }
      policy = known
    }
    let limit = try object.optionalDouble("max_abs_coefficient")
    return try at(object) { () throws(BoneSoupError) in
      try GuardRails(maxAbsCoefficient: limit, onViolation: policy)
    }
  }

  func presets(_ array: JSONValue?, _ solver: PreferenceSolver) throws(BoneSoupError) -> [Preset] {
    guard let array else { return [] }
    var presets: [Preset] = []
    var names: Set<String> = []
    for value in try array.elements {
      try value.refuseMembers(except: ["name", "preference"])
      let name = try value.string("name", maxBytes: SoupManifest.maximumBytes)
      let preference = try value.object("preference")
      try at(value) { () throws(BoneSoupError) in try checkName(name, of: "a preset") }
      guard names.insert(name).inserted else { throw value.malformed("has the name \"\(name)\" of an earlier preset") }
      presets.append(Preset(name: name, preference: try read(preference, solver)))
    }
    return presets
  }

  /// A preference that `solver` accepts.
  private func read(_ object: JSONValue, _ solver: PreferenceSolver) throws(BoneSoupError) -> [Double] {
    // Before names are decoded: the object may be large.
    guard object.count <= solver.objectives.count else {
      throw object.malformed("has \(object.count) values, but there are \(solver.objectives.count) objectives")
    }
    var values: [(name: String, value: Double)] = []
    for member in try object.members {
      values.append((try member.key.text(maxBytes: SoupManifest.maximumBytes), try member.value.double))
    }
    return try at(object) { () throws(BoneSoupError) in
      let preference = try solver.preference(named: values)
      _ = try solver.resolve(
        preference: preference, isFull: [Bool](repeating: false, count: solver.matrix.backboneCount))
      return preference
    }
  }

  func checksums(_ object: JSONValue?) throws(BoneSoupError) -> [Checksum] {
    guard let object else { return [] }
    var checksums: [Checksum] = []
    for member in try object.members {
      let path = try path(member.key)
      let text = Array(try member.value.text(maxBytes: SoupManifest.maximumBytes).utf8)
      let prefix = Array("sha256:".utf8)
      guard text.starts(with: prefix), let digest = SHA256.Digest(hex: text.dropFirst(prefix.count)) else {
        throw member.value.malformed("must be \"sha256:\" and 64 hexadecimal digits")
      }
      checksums.append(Checksum(path: path, digest: digest))
    }
    return checksums
  }
}
