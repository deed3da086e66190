import Checkpoints
import Kernels
public import Platform
public import Transformer

/// A merge of files into a new Hugging Face folder: opened and planned, then run.
///
/// Tensor by tensor, and these block by block: what is read stays in the page cache and never becomes this process's
/// memory. Immutable; any thread may use it.
public final class FileMerge: Sendable {
  public let recipe: MergeRecipe
  let method: any MergeMethod
  let inputs: MergeInputs
  let tensors: TensorList
  private let engine: Engine
  private let layerCount: Int

  /// Bytes of large memory that merging takes at its peak, what the open files take included.
  public let peakByteCount: Int
  /// What the open files take of it.
  private let openByteCount: Int
  /// Bytes of tensors that are written.
  public var outputByteCount: Int { tensors.byteCount }

  public var tensorCount: Int { tensors.count }

  /// What is small and not counted one by one.
  private static let spareByteCount = 4 << 20

  /// Opens all files and checks that everything fits, before anything is written.
  public init(_ recipe: MergeRecipe, engine: Engine, monitor: Monitor = .none) throws(BoneSoupError) {
    let method: any MergeMethod =
      if let own = recipe.hostMethod { own } else { try MethodRegistry.method(recipe.method) }
    try recipe.check(method.declaration)
    let before = engine.allocator.bytesInUse
    let inputs = try MergeInputs(recipe, method.declaration, engine: engine, monitor: monitor.silent)
    let checkpoint = inputs.checkpoint
    let tensors = try TensorList(allocator: engine.allocator)
    var layers = 0
    for index in 0..<checkpoint.count {
      if index % 1024 == 0 { try monitor.check() }
      let view = try checkpoint.tensor(at: index)
      try tensors.append(name: checkpoint.name(at: index), type: recipe.type ?? view.type, shape: view.shape)
      layers = max(layers, TensorName(checkpoint.name(at: index)).layer.map { $0 + 1 } ?? 0)
    }
    self.recipe = recipe
    self.method = method
    self.engine = engine
    self.inputs = inputs
    self.tensors = tensors
    layerCount = layers
    var peak = 0
    for index in 0..<tensors.count {
      if index % 256 == 0 { try monitor.check() }
      let name = TensorName(tensors.name(at: index))
      let shape = Self.shape(name, tensors.shape(at: index), inputs, engine)
      _ = try inputs.sources(
        of: index, name: name.text, wantsDeltas: method.declaration.base == .required, engine: engine)
      _ = try Self.values(recipe, method, inputs, name, layerCount: layers)
      if shape.count > 0 { peak = max(peak, method.byteCount(shape)) }
    }
    let lists = 256 * tensors.count + Self.spareByteCount
    openByteCount = max(0, engine.allocator.bytesInUse - before)
    peakByteCount = openByteCount + peak + lists
  }

  private static func shape(
    _ name: TensorName, _ dimensions: [Int], _ inputs: MergeInputs, _ engine: Engine
  ) -> MergeShape {
    MergeShape(
      dimensions, name: name.text, modelCount: inputs.models.count, threadCount: engine.pool.threadCount)
  }

  private static func values(
    _ recipe: MergeRecipe, _ method: any MergeMethod, _ inputs: MergeInputs, _ name: TensorName, layerCount: Int
  ) throws(BoneSoupError) -> MethodValues {
    // As mergekit: 0 at the first layer and outside of all, 1 at the last and at an only one.
    let depth = name.layer.map { layerCount > 1 ? Double($0) / Double(layerCount - 1) : 1 } ?? 0
    return try recipe.values(method.declaration, models: inputs.places, tensor: name.text, depth: depth)
  }

  /// Writes the merged model to a folder that does not exist, or is empty.
  ///
  /// - Parameters:
  ///   - progress: told on the calling thread.
  ///   - hashesSources: whether the card has the SHA-256 of every source file, which reads them once more.
  public func run(
    to path: String, shardBytes: Int? = nil, isSynced: Bool = true, hashesSources: Bool = false,
    monitor: Monitor = .none
  ) throws(BoneSoupError) {
    let more = peakByteCount - openByteCount
    if let limit = engine.allocator.limit, more > limit - min(limit, engine.allocator.bytesInUse) {
      throw .outOfMemory(
        "the merge takes up to \(more) bytes more, and \(engine.allocator.bytesInUse) of the engine's budget of "
          + "\(limit) are in use; raise memory_budget, or use fewer threads")
    }
    let card = try card(hashesSources: hashesSources, pool: engine.pool, monitor: monitor.silent)
    let writer = try HuggingFaceFolderWriter(
      path, tensors: tensors, like: inputs.reference.folder, type: recipe.type, card: card.text,
      shardBytes: shardBytes ?? SafetensorsWriter.defaultShardBytes, isSynced: isSynced, allocator: engine.allocator,
      monitor: monitor.silent)
    let total = (0..<tensors.count).reduce(0) { $0 + tensors.byteCount(at: $1) / tensors.type(at: $1).byteCount }
    let progress = MergeProgress(total: total, monitor: monitor.part(from: 0, to: 0.99))
    for index in 0..<tensors.count {
      try monitor.check()
      guard tensors.byteCount(at: index) > 0 else { continue }
      try method.merge(try tensor(index, writer: writer.tensors, progress: progress, monitor: monitor.silent))
      if isSynced { writer.tensors.beginSync(tensor: index) }
    }
    try inputs.requireUnchanged()
    try writer.commit(monitor: monitor.silent)
    try? monitor.report(1)
  }

  private func tensor(
    _ index: Int, writer: SafetensorsWriter, progress: MergeProgress, monitor: Monitor
  ) throws(BoneSoupError) -> MergeTensor {
    let name = TensorName(tensors.name(at: index))
    let (base, models) = try inputs.sources(
      of: index, name: name.text, wantsDeltas: method.declaration.base == .required, engine: engine)
    return MergeTensor(
      name: String(name.text.prefix(200)), nameHash: name.hash,
      shape: Self.shape(name, tensors.shape(at: index), inputs, engine), base: base, models: models,
      values: try Self.values(recipe, method, inputs, name, layerCount: layerCount), seed: recipe.seed,
      sink: FileSink(writer: writer, tensor: index, type: tensors.type(at: index)), engine: engine,
      pool: engine.pool, monitor: monitor, progress: progress)
  }
}
