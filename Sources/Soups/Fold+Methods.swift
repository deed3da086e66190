import Checkpoints
import Kernels
import Platform
import Transformer

extension Fold {
  /// Bytes of large memory that a method takes beside the blend: the largest tensor in f32, and its own work.
  static func workByteCount(
    _ method: BlendMethod, _ config: ModelConfig, backboneCount: Int, threadCount: Int
  ) -> Int {
    let work = config.parameters.reduce(0) { most, parameter in
      let shape = MergeShape(
        parameter.shape, name: parameter.name, modelCount: backboneCount, threadCount: threadCount)
      return max(most, method.method.byteCount(shape))
    }
    return 4 * largestCount(config) + work
  }

  /// Elements of the largest tensor.
  static func largestCount(_ config: ModelConfig) -> Int {
    config.parameters.reduce(1) { max($0, $1.elementCount) }
  }

  /// A tensor merged by the method, f32.
  ///
  /// - Parameters:
  ///   - module: whose adapters are seen; nil for a vector.
  ///   - result: has room for it, until the next tensor is merged. The same for all, since memory that is new to the process
  ///     takes longer to come by than the tensor to merge.
  func merge(
    _ parameter: Parameter, module: String?, by method: BlendMethod, into result: Buffer, monitor: Monitor
  ) throws(BoneSoupError) -> TensorView {
    let tensor = try mergeTensor(parameter, module: module, by: method, into: result, monitor: monitor)
    try method.method.merge(tensor)
    return TensorView(floats: result, name: tensor.name, shape: parameter.shape)
  }

  /// The method's merge of a tensor straight from the files to where it is wanted; nil where it takes more than that.
  func directMerge(
    _ parameter: Parameter, module: String?, monitor: Monitor
  ) throws(BoneSoupError) -> DirectMerge? {
    guard let method, let merged, let vectors = method.method as? any TaskVectorMethod,
      coefficients.contains(where: { $0 != 0 })
    else { return nil }
    return try DirectMerge(
      vectors.arithmetic, try mergeTensor(parameter, module: module, by: method, into: merged, monitor: monitor))
  }

  private func mergeTensor(
    _ parameter: Parameter, module: String?, by method: BlendMethod, into result: Buffer, monitor: Monitor
  ) throws(BoneSoupError) -> MergeTensor {
    // The head of a tied model that comes apart is made of the embedding, and goes by its own name.
    let name = module == "lm_head" ? "lm_head.weight" : parameter.name
    let known = TensorName(name)
    let wanted = try base.checkpoint.tensor(of: parameter)
    var weights: [(backbone: Int, value: Double)] = []
    var sources: [any TensorSource] = []
    for (index, backbone) in backbones.enumerated() where coefficients[index] != 0 {
      weights.append((index, coefficients[index]))
      switch backbone.content {
      case .full(let checkpoint): sources.append(try MemorySource(try checkpoint.tensor(of: parameter)))
      case .lowRank(let adapter):
        if let adapted = adapter.modules.first(where: { $0.name == module }) {
          sources.append(try AdapterSource(adapted, columns: parameter.shape[1], base: nil, engine: engine))
        } else {
          sources.append(UnchangedSource())
        }
      }
    }
    let layers = base.config.layerCount
    let depth = known.layer.map { layers > 1 ? Double($0) / Double(layers - 1) : 1 } ?? 0
    return MergeTensor(
      name: name, nameHash: known.hash,
      shape: MergeShape(parameter.shape, name: name, modelCount: sources.count, threadCount: pool.threadCount),
      base: try MemorySource(wanted), models: sources,
      values: try method.values(weights, tensor: name, depth: depth), seed: method.seed,
      sink: TaskMatrixSink(memory: result), engine: engine, pool: pool, monitor: monitor.silent,
      progress: MergeProgress(total: 1, monitor: monitor.silent))
  }
}
