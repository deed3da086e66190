public import Platform
import Transformer

extension Soup {
  /// What the request comes to: coefficients, kind and memory. Nothing is made.
  public func plan(_ request: BlendRequest) throws(BoneSoupError) -> Blend.Plan {
    let resolution = try resolve(request.point)
    let method = request.method ?? self.method
    let kind: Blend.Kind =
      switch request.kind {
      case .automatic: isLowRank && method == nil ? .live : .folded
      case .folded: .folded
      case .live: .live
      }
    if kind == .live {
      if let method {
        throw .unsupported("a live blend is the plain sum of its backbones; by \(method.name) a blend has to be folded")
      }
      try checkLive(resolution, request)
    }
    if let setting = method?.settings.first(where: { $0.model ?? 0 >= max(1, backbones.count) }) {
      throw .mismatch("\(setting.name) is set for backbone \(setting.model ?? 0), and there are \(backbones.count)")
    }
    if let multipliers = request.layerMultipliers {
      try checkMultipliers(multipliers, kind)
    }
    let format = kind == .folded ? request.format ?? base.format : base.format
    return Blend.Plan(
      kind: kind, resolution: resolution, format: format,
      condition: resolution.preference == nil ? 0 : matrix?.conditionNumber ?? 0,
      byteCount: kind == .folded
        ? Fold.byteCount(base.config, backbones, resolution.coefficients, format: format, kernels: engine.kernels) : 0,
      method: method,
      workByteCount: method.map {
        Fold.workByteCount(
          $0, base.config, backboneCount: backbones.count, threadCount: engine.pool.threadCount)
      } ?? 0)
  }

  private func resolve(_ point: BlendRequest.Point) throws(BoneSoupError) -> Resolution {
    switch point {
    case .defaults:
      if objectives.isEmpty {
        return try Resolution(
          coefficients: backbones.map { _ in 0 }, guardRails: guardRails, isFull: isFull)
      }
      let solver = try solver()
      return try solver.resolve(preference: solver.defaultPreference, isFull: isFull)
    case .named(let values):
      if values.isEmpty { return try resolve(.defaults) }
      let solver = try solver()
      return try solver.resolve(preference: solver.preference(named: values), isFull: isFull)
    case .preference(let preference):
      return try solver().resolve(preference: preference, isFull: isFull)
    case .coefficients(let coefficients):
      return try Resolution(coefficients: coefficients, guardRails: guardRails, isFull: isFull)
    case .preset(let name):
      guard let preset = presets.first(where: { $0.name == name }) else {
        let names = presets.map { "\"\($0.name)\"" }.joined(separator: ", ")
        throw .notFound(
          "there is no preset \"\(name.prefix(64))\"; "
            + (presets.isEmpty ? "the soup has none" : "the soup has \(names)"))
      }
      return try solver().resolve(preference: preset.preference, isFull: isFull)
    }
  }

  private func checkLive(_ resolution: Resolution, _ request: BlendRequest) throws(BoneSoupError) {
    for (index, backbone) in backbones.enumerated()
    where backbone.isFull && resolution.coefficients[index] != 0 {
      throw .unsupported(
        "backbone \(index) (\(backbone.path.prefix(200))) is a full checkpoint with coefficient "
          + "\(resolution.coefficients[index]): a live blend takes low-rank backbones only; fold instead")
    }
    if let format = request.format, format != base.format {
      throw .invalidArgument(
        "a live blend computes in the soup's weight format, \(base.format.name); open the soup in \(format.name), or fold"
      )
    }
  }

  private func checkMultipliers(_ multipliers: [Float], _ kind: Blend.Kind) throws(BoneSoupError) {
    guard kind == .live else {
      throw .invalidArgument("layer multipliers are for live blends, and this one is folded")
    }
    let wanted = backbones.count * base.config.layerCount
    guard multipliers.count == wanted else {
      throw .mismatch(
        "there are \(multipliers.count) layer multipliers for \(backbones.count) backbones × "
          + "\(base.config.layerCount) layers; \(wanted) are needed")
    }
    for (index, value) in multipliers.enumerated() where !value.isFinite {
      throw .invalidArgument("layer multiplier \(index) is \(value)")
    }
  }
}
