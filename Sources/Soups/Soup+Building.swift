public import Platform

/// Building a soup step by step. A new backbone or objective drops matrix and extrapolation, which no longer fit.
extension Soup {
  public func adding(_ backbone: Backbone) throws(BoneSoupError) -> Soup {
    guard backbones.count < Self.backboneLimit else {
      throw .invalidArgument("a soup has at most \(Self.backboneLimit) backbones")
    }
    let all = backbones + [backbone]
    // A stack that was made stays where it does not change.
    let adapters = backbone.isFull ? adapters : StackedAdapters(all, base: base, engine: engine)
    return Soup(
      engine: engine, base: base, backbones: all, objectives: objectives, matrix: nil, extrapolation: nil,
      guardRails: guardRails, presets: presets, adapters: adapters, method: method)
  }

  public func adding(_ objective: Objective) throws(BoneSoupError) -> Soup {
    guard objectives.count < Self.backboneLimit else {
      throw .invalidArgument("a soup has at most \(Self.backboneLimit) objectives")
    }
    try objective.check()
    guard !objectives.contains(where: { $0.name == objective.name }) else {
      throw .invalidArgument("there is an objective \"\(objective.name)\" already")
    }
    return Soup(
      engine: engine, base: base, backbones: backbones, objectives: objectives + [objective], matrix: nil,
      extrapolation: nil, guardRails: guardRails,
      presets: presets.map { Preset(name: $0.name, preference: $0.preference + [0]) }, adapters: adapters,
      method: method)
  }

  public func with(matrix: BackboneMatrix) throws(BoneSoupError) -> Soup {
    guard matrix.backboneCount == backbones.count, matrix.objectiveCount == objectives.count else {
      throw .mismatch(
        "the matrix is \(matrix.backboneCount) × \(matrix.objectiveCount), but the soup has \(backbones.count) "
          + "backbones and \(objectives.count) objectives")
    }
    // A stretch that was set before stays.
    let stretch = try extrapolation.map { (old) throws(BoneSoupError) in
      try Extrapolation(factors: old.factors, matrix: matrix)
    }
    return Soup(
      engine: engine, base: base, backbones: backbones, objectives: objectives, matrix: matrix, extrapolation: stretch,
      guardRails: guardRails, presets: presets, adapters: adapters, method: method)
  }

  public func with(extrapolationFactors factors: [Double]) throws(BoneSoupError) -> Soup {
    guard let matrix else {
      throw .mismatch("extrapolation factors need a backbone matrix; set it first")
    }
    return Soup(
      engine: engine, base: base, backbones: backbones, objectives: objectives, matrix: matrix,
      extrapolation: try Extrapolation(factors: factors, matrix: matrix), guardRails: guardRails, presets: presets,
      adapters: adapters, method: method)
  }

  public func with(guardRails: GuardRails) -> Soup {
    Soup(
      engine: engine, base: base, backbones: backbones, objectives: objectives, matrix: matrix,
      extrapolation: extrapolation, guardRails: guardRails, presets: presets, adapters: adapters, method: method)
  }

  public func with(method: BlendMethod?) -> Soup {
    Soup(
      engine: engine, base: base, backbones: backbones, objectives: objectives, matrix: matrix,
      extrapolation: extrapolation, guardRails: guardRails, presets: presets, adapters: adapters, method: method)
  }
}
