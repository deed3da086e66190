public import Checkpoints
public import Kernels
public import Platform

extension Checkpoint {
  /// The tensor of a parameter, by its name or its alias, in the shape that the model needs.
  public func tensor(of parameter: Parameter) throws(BoneSoupError) -> TensorView {
    if let alias = parameter.alias, index(of: parameter.name) == nil, index(of: alias) != nil {
      return try requireTensor(alias, shape: parameter.shape)
    }
    return try requireTensor(parameter.name, shape: parameter.shape)
  }

  /// Throws where the file holds a tensor that the model has no use for: its text would differ without a word.
  public func refuseUnknownTensors(_ config: ModelConfig) throws(BoneSoupError) {
    for index in 0..<count {
      let bytes = name(at: index)
      let text = String(decoding: bytes.prefix(200), as: UTF8.self)
      // Old files keep the rotary frequencies, which follow from the configuration.
      if config.parameter(ofTensor: text) != nil || text.hasSuffix(".rotary_emb.inv_freq") { continue }
      throw .unsupported(
        "\(self.name): the tensor \(text) is not part of a \(config.modelType) model as config.json describes it")
    }
  }
}

extension ModelWeights {
  /// The weights of a checkpoint: used where they lie in the file if that has the format, else packed.
  public static func load(
    _ config: ModelConfig, from checkpoint: Checkpoint, format: WeightFormat, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> ModelWeights {
    let total = Double(max(config.parameterCount, 1))
    var done = 0
    func report(_ parameter: Parameter) throws(BoneSoupError) {
      done += parameter.elementCount
      try monitor.report(Double(done) / total)
    }
    return try ModelWeights(config) { (parameter) throws(BoneSoupError) in
      let tensor = try checkpoint.tensor(of: parameter)
      let weight = try matrix(
        tensor, parameter, format: parameter.isEnd ? format.ofEnds : format, engine: engine, monitor: monitor)
      try report(parameter)
      return weight
    } vector: { (parameter) throws(BoneSoupError) in
      let weight = try vector(try checkpoint.tensor(of: parameter), engine: engine)
      try report(parameter)
      return weight
    }
  }

  /// The format of the base's own matrices: that of its embedding.
  public static func storedFormat(
    _ config: ModelConfig, in checkpoint: Checkpoint
  ) throws(BoneSoupError) -> WeightFormat {
    guard let embedding = config.parameters.first else { throw .internalFault("a model without parameters") }
    return WeightFormat(try checkpoint.tensor(of: embedding).type)
  }

  private static func matrix(
    _ tensor: TensorView, _ parameter: Parameter, format: WeightFormat, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> Weight {
    let rows = parameter.shape[0]
    let columns = parameter.shape[1]
    if WeightFormat(tensor.type) == format {
      return try Weight(tensor, rows: rows, columns: columns, kernels: engine.kernels)
    }
    let source = try tensor.start()
    let panels = try Weight.makePanels(
      rows: rows, columns: columns, format: format, engine: engine, purpose: tensor.name)
    let weight = Weight(rows: rows, columns: columns, format: format, panels: panels, kernels: engine.kernels)
    try weight.pack(
      [MergeTerm(source: source, coefficient: 1)], type: tensor.type, into: panels, kernels: engine.kernels,
      pool: engine.pool, monitor: monitor)
    tensor.dropBehind()
    return weight
  }

  private static func vector(_ tensor: TensorView, engine: Engine) throws(BoneSoupError) -> VectorWeight {
    let buffer = try Buffer(of: Float.self, count: tensor.count, allocator: engine.allocator, purpose: tensor.name)
    engine.kernels.widen(
      type: tensor.type, source: try tensor.start(), count: tensor.count, into: buffer.elements(Float.self))
    return VectorWeight(buffer, count: tensor.count)
  }
}
