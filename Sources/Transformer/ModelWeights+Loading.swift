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
  /// The weights of a checkpoint: used where they lie in the file if that has the type, else converted.
  public static func load(
    _ config: ModelConfig, from checkpoint: Checkpoint, type: ElementType, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> ModelWeights {
    let total = Double(max(config.parameterCount, 1))
    var done = 0
    func report(_ parameter: Parameter) throws(BoneSoupError) {
      done += parameter.elementCount
      try monitor.report(Double(done) / total)
    }
    return try ModelWeights(config) { (parameter) throws(BoneSoupError) in
      let tensor = try checkpoint.tensor(of: parameter)
      let weight = try matrix(tensor, parameter, type: type, engine: engine, monitor: monitor)
      try report(parameter)
      return weight
    } vector: { (parameter) throws(BoneSoupError) in
      let weight = try vector(try checkpoint.tensor(of: parameter), engine: engine)
      try report(parameter)
      return weight
    }
  }

  /// The type of the base's own matrices: that of its embedding.
  public static func storedType(
    _ config: ModelConfig, in checkpoint: Checkpoint
  ) throws(BoneSoupError) -> ElementType {
    guard let embedding = config.parameters.first else { throw .internalFault("a model without parameters") }
    return try checkpoint.tensor(of: embedding).type
  }

  private static func matrix(
    _ tensor: TensorView, _ parameter: Parameter, type: ElementType, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> Weight {
    let rows = parameter.shape[0]
    let columns = parameter.shape[1]
    let source = try tensor.start()
    if tensor.type == type {
      return Weight(rows: rows, columns: columns, type: type, pointer: source, owner: tensor.owner)
    }
    let buffer = try Buffer(
      byteCount: rows * columns * type.byteCount, allocator: engine.allocator, purpose: tensor.name)
    let kernels = engine.kernels
    // Through f32 in pieces that stay in the cache.
    let piece = 4096
    let parts = (rows * columns + piece - 1) / piece
    engine.pool.run(parts: parts) { part in
      if monitor.isCancelled { return }
      let start = part * piece
      let count = min(piece, rows * columns - start)
      withUnsafeTemporaryAllocation(of: Float.self, capacity: piece) { values in
        guard let values = values.baseAddress else { return }
        kernels.widen(
          type: tensor.type, source: source + start * tensor.type.byteCount, count: count, into: values)
        kernels.narrow(source: values, type: type, count: count, into: buffer.pointer + start * type.byteCount)
      }
    }
    try monitor.check()
    return Weight(rows: rows, columns: columns, type: type, pointer: buffer.pointer, owner: buffer)
  }

  private static func vector(_ tensor: TensorView, engine: Engine) throws(BoneSoupError) -> VectorWeight {
    let buffer = try Buffer(of: Float.self, count: tensor.count, allocator: engine.allocator, purpose: tensor.name)
    engine.kernels.widen(
      type: tensor.type, source: try tensor.start(), count: tensor.count, into: buffer.elements(Float.self))
    return VectorWeight(buffer, count: tensor.count)
  }
}
