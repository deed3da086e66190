import Checkpoints
import Platform
import Transformer

/// The opened files of a merge, or of one slice.
struct MergeInputs: Sendable {
  /// θ₀; nil where neither the method nor an adapter needs one.
  let base: MergeInput?
  /// What the method sees as models, and their places in the recipe.
  let models: [MergeInput]
  let places: [Int]
  /// The place in the recipe of the base, or without one of the first model, if it is among the models.
  let referencePlace: Int?
  /// Whose names, shapes, config and tokenizer the result has.
  let reference: MergeInput
  let checkpoint: Checkpoint

  init(
    _ recipe: MergeRecipe, _ declaration: MethodDeclaration, slice: [Int]? = nil, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) {
    guard recipe.models.count <= MethodDeclaration.modelLimit + 1 else {
      throw .invalidArgument(
        "\(recipe.models.count) models; at most \(MethodDeclaration.modelLimit) and the base can be merged")
    }
    var base: MergeInput?
    // In a slice the base is one of its models, by the layers that it gives.
    let basePlace = recipe.base.flatMap { path in
      recipe.models.indices.first { (slice?.contains($0) ?? true) && DiskPath.isSame(path, recipe.models[$0]) }
    }
    if let path = recipe.base, slice == nil || basePlace != nil {
      base = try MergeInput(path, engine: engine, monitor: monitor)
    }
    if let base, base.checkpoint == nil {
      throw .invalidArgument("\(base.path) is an adapter; the base is a full model")
    }
    guard base != nil || declaration.base != .required else {
      throw .invalidArgument(
        slice == nil
          ? "\(declaration.name) needs a base"
          : "\(declaration.name) needs a base, and each slice its layers: list the base among the slice's models")
    }
    var models: [MergeInput] = []
    var places: [Int] = []
    for (place, path) in recipe.models.enumerated() where slice?.contains(place) ?? true {
      try monitor.check()
      let isBase = recipe.base.map { DiskPath.isSame($0, path) } ?? false
      // For methods of task vectors the base is no model; for others it is one of them.
      if isBase && declaration.base != .unused { continue }
      models.append(try MergeInput(path, engine: engine, monitor: monitor))
      places.append(place)
    }
    guard declaration.models.contains(models.count) else {
      let (least, most) = (declaration.models.lowerBound, declaration.models.upperBound)
      throw .invalidArgument(
        "\(declaration.name) takes " + (least == most ? "\(least)" : "\(least) to \(most)")
          + " models besides the base, and there are \(models.count)")
    }
    let hasAdapter = models.contains { $0.checkpoint == nil }
    guard let reference = base ?? models.first, let checkpoint = reference.checkpoint, !hasAdapter || base != nil else {
      throw .invalidArgument("an adapter can be merged only together with the base that it was trained on; give base")
    }
    self.base = declaration.base == .unused && !hasAdapter ? nil : base
    self.models = models
    self.places = places
    self.reference = reference
    referencePlace = base == nil ? places.first : basePlace
    self.checkpoint = checkpoint
    if slice != nil {
      guard !hasAdapter else {
        throw .unsupported("layers of an adapter cannot be sliced; merge it into its base first, and slice the result")
      }
      return
    }
    let isTied = try Self.isTied(reference.folder, engine: engine, monitor: monitor)
    for input in models {
      try input.refuseTensors(beyond: checkpoint, isTied: isTied, monitor: monitor)
      try input.refuseModules(beyond: checkpoint)
    }
  }

  /// What `config.json` says of embedding and head; false without one.
  private static func isTied(
    _ folder: FileProvider, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> Bool {
    guard folder.exists("config.json") else { return false }
    let config = try folder.json(
      "config.json", maximumBytes: 1 << 20, allocator: engine.allocator, monitor: monitor.silent)
    return try config.root.optionalBool("tie_word_embeddings") ?? false
  }

  /// Where a tensor's elements come from: θ₀, and θ or Δ of each model.
  ///
  /// - Parameters:
  ///   - index: of the tensor in `checkpoint`.
  ///   - name: its whole name in the model of this place in the recipe.
  ///   - wantsDeltas: whether adapters give Δ alone.
  func sources(
    of index: Int, name: (_ place: Int) -> String, wantsDeltas: Bool, engine: Engine
  ) throws(BoneSoupError) -> (base: (any TensorSource)?, models: [any TensorSource]) {
    let wanted = try checkpoint.tensor(at: index)
    let base = base == nil ? nil : FileSource(tensor: wanted)
    var sources: [any TensorSource] = []
    for (model, place) in zip(models, places) {
      let name = name(place)
      switch model.content {
      case .full:
        guard let view = try model.tensor(name, reference: checkpoint) else {
          throw .mismatch(
            "\(model.path) lacks the tensor \(wanted.name), which \(checkpoint.name) has: the models are not of one "
              + "architecture")
        }
        guard view.shape == wanted.shape else {
          throw .mismatch(
            "the tensor \(wanted.name) has the shape \(TensorView.describe(view.shape)) in \(view.file) and "
              + "\(TensorView.describe(wanted.shape)) in \(wanted.file)")
        }
        sources.append(FileSource(tensor: view))
      case .lowRank(let adapter, let modules):
        guard let place = modules[name] else {
          if wantsDeltas { sources.append(UnchangedSource()) } else if let base { sources.append(base) }
          continue
        }
        let module = adapter.modules[place]
        try check(module, wanted)
        sources.append(
          try AdapterSource(
            module, columns: wanted.shape.last ?? 1, base: wantsDeltas ? nil : base, engine: engine))
      }
    }
    return (base, sources)
  }

  private func check(_ module: AdapterModule, _ wanted: TensorView) throws(BoneSoupError) {
    guard wanted.shape.count == 2 else {
      throw .mismatch("an adapter changes \(module.name.prefix(200)), which is no matrix")
    }
    let isEmbedding = module.kind == .embedding
    let (inputs, outputs) =
      isEmbedding ? (wanted.shape[0], wanted.shape[1]) : (wanted.shape[1], wanted.shape[0])
    try module.down.require(shape: [module.rank, inputs])
    try module.up.require(shape: [outputs, module.rank])
  }

  /// Throws where a file was changed since it was opened.
  func requireUnchanged() throws(BoneSoupError) {
    for input in models { try input.requireUnchanged() }
    try reference.requireUnchanged()
  }

  var files: [FileBytes] {
    ([reference] + models).flatMap { $0.checkpoint?.sources ?? [] }
  }
}
