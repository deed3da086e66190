import JSON
import Platform

/// `soup.json`, version 1, read and checked: everything that can be wrong with it alone is refused here.
///
/// Paths are as written: relative to the file, or absolute. Whether files exist is not looked at.
public struct SoupManifest: Sendable {
  /// What a folder's manifest is called.
  public static let fileName = "soup.json"
  public static let maximumBytes = 1 << 20
  public static let version = 1

  /// Path of the base.
  public let base: String
  /// Paths of the backbones, in the order of the matrix's rows.
  public let backbones: [String]
  /// Objectives, matrix, extrapolation and guard rails.
  public let solver: PreferenceSolver
  public let presets: [Preset]
  /// How blends are made; nil is the plain sum.
  public let method: BlendMethod?
  /// Path of the measured front.
  public let front: String?
  public let calibration: String?
  public let checksums: [Checksum]

  static let pathLimit = 4096

  /// Reads the text of a manifest.
  ///
  /// Throws `.malformed` for what is not JSON or breaks the format, with the place; `.unsupported` for another version
  /// or a merge method that this version does not have; `.mismatch` where the matrix does not fit; `.unsolvable` for a
  /// singular one; `.guardRail` where the limits leave no preference, or forbid a preset.
  /// - Parameters:
  ///   - bytes: needed only during the call.
  ///   - file: names the text in messages.
  public init(_ bytes: UnsafeRawBufferPointer, file: String, allocator: Allocator) throws(BoneSoupError) {
    // The document does not outlive this call, so nobody needs to own the bytes for it.
    let document = try JSONDocument(
      bytes, owner: allocator, file: file, maximumBytes: Self.maximumBytes, allocator: allocator)
    try self.init(ManifestReader(file: file), document.root)
  }

  private init(_ reader: ManifestReader, _ root: JSONValue) throws(BoneSoupError) {
    // First, since a later version has other keys.
    let version = try root.int("bonesoup")
    guard version == Self.version else {
      throw .unsupported("\(reader.file): bonesoup is \(version), and this library reads version \(Self.version)")
    }
    try root.refuseMembers(except: [
      "bonesoup", "base", "objectives", "backbones", "matrix", "extrapolation", "method", "guard", "presets", "front",
      "calibration", "metadata", "checksums",
    ])
    base = try reader.path(root.member("base"))
    backbones = try reader.backbones(root.array("backbones"))
    method = try reader.method(root.optionalObject("method"), backboneCount: backbones.count)
    let objectives = try reader.objectives(root.array("objectives"))
    let matrix = try reader.matrix(
      root.member("matrix"), backboneCount: backbones.count, objectiveCount: objectives.count)
    let extrapolation = try reader.extrapolation(root.optionalArray("extrapolation"), matrix)
    let guardRails = try reader.guardRails(root.optionalObject("guard"))
    let solver = try reader.at(root) { () throws(BoneSoupError) in
      try PreferenceSolver(
        objectives: objectives, matrix: matrix, extrapolation: extrapolation, guardRails: guardRails)
    }
    self.solver = solver
    presets = try reader.presets(root.optionalArray("presets"), solver)
    front = try reader.optionalPath(root.optionalMember("front"))
    calibration = try reader.optionalPath(root.optionalMember("calibration"))
    checksums = try reader.checksums(root.optionalObject("checksums"))
  }
}
