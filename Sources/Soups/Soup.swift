public import Platform
public import Transformer

/// The shippable whole: base, backbones, objectives, matrix, guard rails. Immutable: building steps make a new one.
public final class Soup: Sendable {
  public let engine: Engine
  public let base: BaseModel
  public let backbones: [Backbone]
  public let objectives: [Objective]
  public let matrix: BackboneMatrix?
  public let extrapolation: Extrapolation?
  public let guardRails: GuardRails
  public let presets: [Preset]
  /// The low-rank backbones, for live blends; nil without any.
  public let adapters: StackedAdapters?
  /// How blends are made where their request does not say; nil is the plain sum.
  public let method: BlendMethod?
  /// Objectives, matrix and guard rails together, or why they do not work together; nil without a matrix.
  private let solverResult: Result<PreferenceSolver, BoneSoupError>?
  /// Of base and backbones: their configurations, and the identity of their files.
  let fingerprint: Fingerprint

  public static let backboneLimit = BackboneMatrix.countLimit

  init(
    engine: Engine, base: BaseModel, backbones: [Backbone], objectives: [Objective], matrix: BackboneMatrix?,
    extrapolation: Extrapolation?, guardRails: GuardRails, presets: [Preset], adapters: StackedAdapters?,
    method: BlendMethod? = nil
  ) {
    self.engine = engine
    self.base = base
    self.backbones = backbones
    self.objectives = objectives
    self.matrix = matrix
    self.extrapolation = extrapolation
    self.guardRails = guardRails
    self.presets = presets
    self.adapters = adapters
    self.method = method
    solverResult = matrix.map { matrix in
      Result { () throws(BoneSoupError) in
        try PreferenceSolver(
          objectives: objectives, matrix: matrix, extrapolation: extrapolation, guardRails: guardRails)
      }
    }
    fingerprint = Self.fingerprint(base, backbones)
  }

  /// Whether every backbone is low-rank, so that blends can be live.
  public var isLowRank: Bool { backbones.allSatisfy { !$0.isFull } }

  public var isFull: [Bool] { backbones.map(\.isFull) }

  /// What turns preferences into coefficients.
  public func solver() throws(BoneSoupError) -> PreferenceSolver {
    guard let solverResult else {
      throw .mismatch(
        objectives.isEmpty
          ? "the soup has no objectives, so that it takes no preference; give coefficients"
          : "the soup has no backbone matrix; set it after the last backbone and objective")
    }
    return try solverResult.get()
  }

  /// The preference after a slider was moved; needs objectives, and no matrix yet.
  public func moving(
    _ objective: Int, to value: Double, from current: [Double]
  ) throws(BoneSoupError) -> [Double] {
    let solver =
      matrix == nil
      ? try PreferenceSolver(objectives: objectives, matrix: try .identity(count: objectives.count)) : try solver()
    return try solver.moving(objective, to: value, from: current)
  }

  private static func fingerprint(_ base: BaseModel, _ backbones: [Backbone]) -> Fingerprint {
    var builder = FingerprintBuilder(domain: "soup")
    // What the configurations say counts beside the files of tensors: they may have been edited between two opens.
    let configuration = base.config.identity
    builder.add("configuration", integers: configuration.integers.map(Int64.init))
    builder.add("configuration", doubles: configuration.reals)
    for backbone in backbones {
      builder.add("scales", doubles: backbone.adapter?.modules.map(\.scale) ?? [])
    }
    for identities in [base.checkpoint.identities] + backbones.map(\.identities) {
      for identity in identities {
        switch identity {
        case .file(let device, let inode, let size, let modified):
          builder.add(
            "file",
            integers: [Int64(bitPattern: device), Int64(bitPattern: inode), Int64(size), modified])
        case .table(let serial, let index):
          builder.add("table", integers: [Int64(serial), Int64(index)])
        }
      }
      builder.add("model", integers: [])
    }
    return builder.fingerprint
  }
}
