import CBoneSoup
import Platform
import Soups

// Chapter 6 of the header: building a soup call by call.

@c @implementation
public func bsoup_soup_add_backbone(
  _ soup: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ options: UnsafePointer<bsoup_open_options>!,
  _ index: UnsafeMutablePointer<UInt32>!
) -> bsoup_status {
  index?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    let path = try Arguments.string(path, "path")
    let request = try OpenRequest(options, call)
    let engine = box.soup.engine
    // A file is opened as a file of its folder, a folder as itself.
    let (folder, file) = try request.options.locate(path)
    let backbone = try Backbone(
      path: file ?? ".", label: path, files: folder, base: box.soup.base, engine: engine, monitor: request.monitor)
    if request.options.verifiesFinite { try backbone.requireFinite(engine: engine, monitor: request.monitor) }
    let number = try box.build { (soup) throws(BoneSoupError) in
      (try soup.adding(backbone), soup.backbones.count)
    }
    index?.pointee = UInt32(truncatingIfNeeded: number)
  }
}

private var objectiveDefaults: bsoup_objective_options {
  bsoup_objective_options(
    struct_size: UInt32(MemoryLayout<bsoup_objective_options>.size), has_default: 0, name: nil, label: nil,
    description: nil, default_weight: 0, minimum: 0, maximum: 1, step: 0.01)
}

@c @implementation
public func bsoup_objective_options_init(
  _ options: UnsafeMutablePointer<bsoup_objective_options>!, _ struct_size: Int
) {
  Structs.initialize(options, struct_size, objectiveDefaults)
}

@c @implementation
public func bsoup_soup_add_objective(
  _ soup: OpaquePointer!, _ options: UnsafePointer<bsoup_objective_options>!, _ index: UnsafeMutablePointer<UInt32>!
) -> bsoup_status {
  index?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    let raw = try Structs.read(options, objectiveDefaults, "bsoup_objective_options")
    var objective = try Objective(name: try Arguments.string(raw.name, "name", maximum: 64))
    if raw.label != nil { objective.label = try Arguments.string(raw.label, "label") }
    if raw.description != nil { objective.description = try Arguments.string(raw.description, "description") }
    if try Arguments.flag(raw.has_default, "has_default") { objective.defaultValue = raw.default_weight }
    objective.minimum = raw.minimum
    objective.maximum = raw.maximum
    objective.step = raw.step
    let added = objective
    let number = try box.build { (soup) throws(BoneSoupError) in (try soup.adding(added), soup.objectives.count) }
    index?.pointee = UInt32(truncatingIfNeeded: number)
  }
}

@c @implementation
public func bsoup_soup_set_matrix(
  _ soup: OpaquePointer!, _ matrix: UnsafePointer<Double>!, _ rows: UInt32, _ columns: UInt32
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    guard rows >= 1, rows <= Soup.backboneLimit, columns >= 1, columns <= Soup.backboneLimit else {
      throw .invalidArgument("a matrix of \(rows) × \(columns): 1 to \(Soup.backboneLimit) of each are possible")
    }
    let values = try Arguments.values(matrix, Int(rows) * Int(columns), "matrix")
    let matrix = try BackboneMatrix(
      rows: (0..<Int(rows)).map { row in (0..<Int(columns)).map { values[row * Int(columns) + $0] } })
    try box.build { (soup) throws(BoneSoupError) in (try soup.with(matrix: matrix), ()) }
  }
}

@c @implementation
public func bsoup_soup_set_bone_matrix(_ soup: OpaquePointer!, _ beta: Double) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    try box.build { (soup) throws(BoneSoupError) in
      guard soup.backbones.count == soup.objectives.count else {
        throw .mismatch(
          "Bone Soup's rule needs as many backbones as objectives, and there are \(soup.backbones.count) and "
            + "\(soup.objectives.count)")
      }
      return (try soup.with(matrix: try .bone(beta: beta, count: soup.backbones.count)), ())
    }
  }
}

@c @implementation
public func bsoup_soup_set_extrapolation(
  _ soup: OpaquePointer!, _ factors: UnsafePointer<Double>!, _ count: UInt32
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    guard count <= Soup.backboneLimit else {
      throw .mismatch("\(count) factors: there are never more than \(Soup.backboneLimit) objectives")
    }
    let factors = Array(try Arguments.values(factors, Int(count), "factors"))
    try box.build { (soup) throws(BoneSoupError) in (try soup.with(extrapolationFactors: factors), ()) }
  }
}

@c @implementation
public func bsoup_soup_set_guard(
  _ soup: OpaquePointer!, _ max_abs_coefficient: Double, _ on_violation: UInt32
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let box = try Handles.take(soup, SoupBox.self)
    guard on_violation <= BSOUP_GUARD_CLAMP else {
      throw .invalidArgument("on_violation is \(on_violation), which is no BSOUP_GUARD")
    }
    let rails = try GuardRails(
      maxAbsCoefficient: max_abs_coefficient == 0 ? nil : max_abs_coefficient,
      onViolation: on_violation == BSOUP_GUARD_CLAMP ? .clamp : .reject)
    try box.build { (soup) throws(BoneSoupError) in (soup.with(guardRails: rails), ()) }
  }
}
