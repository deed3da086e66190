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
  let parts: [MergePart]
  /// Whose config and tokenizer the result has.
  let inputs: MergeInputs
  let tensors: TensorList
  /// Of each tensor, which part it is of, and its number in that part's reference.
  private let origins: Buffer

  private struct Origin: BitwiseCopyable {
    let part: Int
    let index: Int
  }
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
    let parts = try MergePart.all(recipe, method.declaration, engine: engine, monitor: monitor.silent)
    guard let first = parts.first else { throw .invalidArgument("layers of no model are to be merged") }
    let tensors = try TensorList(allocator: engine.allocator)
    let origins = try Buffer(
      of: Origin.self, count: max(1, parts.reduce(0) { $0 + $1.inputs.checkpoint.count }), allocator: engine.allocator,
      purpose: "the list of tensors")
    var layers = 0
    for (number, part) in parts.enumerated() {
      let checkpoint = part.inputs.checkpoint
      var seen = [Bool](repeating: false, count: part.slice.map { $0.start + $0.count } ?? 0)
      for index in 0..<checkpoint.count {
        if index % 1024 == 0 { try monitor.check() }
        let name = TensorName(checkpoint.name(at: index))
        guard let output = part.outputName(name) else { continue }
        let view = try checkpoint.tensor(at: index)
        if part.slice == nil {
          try tensors.append(name: checkpoint.name(at: index), type: recipe.type ?? view.type, shape: view.shape)
        } else {
          try tensors.append(output, type: recipe.type ?? view.type, shape: view.shape)
          if let layer = TensorName(output).layer { seen[layer] = true }
        }
        origins.elements(Origin.self)[tensors.count - 1] = Origin(part: number, index: index)
        layers = max(layers, name.layer.map { $0 + 1 } ?? 0)
      }
      try part.requireLayers(seen)
    }
    self.recipe = recipe
    self.method = method
    self.engine = engine
    self.parts = parts
    inputs = first.inputs
    self.tensors = tensors
    self.origins = origins
    layerCount = layers
    var peak = 0
    for index in 0..<tensors.count {
      if index % 256 == 0 { try monitor.check() }
      let name = TensorName(tensors.name(at: index))
      let origin = origins.elements(Origin.self)[index]
      let (part, place) = (parts[origin.part], origin.index)
      let shape = Self.shape(name, tensors.shape(at: index), part.inputs, engine)
      _ = try part.inputs.sources(
        of: place, name: { part.sourceName(name, place: $0) },
        wantsDeltas: method.declaration.base == .required, engine: engine)
      _ = try Self.values(recipe, method, part, name, layerCount: layers)
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
    _ recipe: MergeRecipe, _ method: any MergeMethod, _ part: MergePart, _ name: TensorName, layerCount: Int
  ) throws(BoneSoupError) -> MethodValues {
    try recipe.values(
      method.declaration, models: part.inputs.places, tensor: name.text,
      depth: part.depth(name, layerCount: layerCount))
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
      path, tensors: tensors, like: inputs.reference.folder, type: recipe.type,
      layers: try parts.layerList(engine: engine, monitor: monitor.silent), card: card.text,
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
    for part in parts { try part.inputs.requireUnchanged() }
    try writer.commit(monitor: monitor.silent)
    try? monitor.report(1)
  }

  private func tensor(
    _ index: Int, writer: SafetensorsWriter, progress: MergeProgress, monitor: Monitor
  ) throws(BoneSoupError) -> MergeTensor {
    let name = TensorName(tensors.name(at: index))
    let origin = origins.elements(Origin.self)[index]
    let (part, place) = (parts[origin.part], origin.index)
    let (base, models) = try part.inputs.sources(
      of: place, name: { part.sourceName(name, place: $0) }, wantsDeltas: method.declaration.base == .required,
      engine: engine)
    return MergeTensor(
      name: String(name.text.prefix(200)), nameHash: name.hash,
      shape: Self.shape(name, tensors.shape(at: index), part.inputs, engine), base: base, models: models,
      values: try Self.values(recipe, method, part, name, layerCount: layerCount), seed: recipe.seed,
      sink: FileSink(writer: writer, tensor: index, type: tensors.type(at: index)), engine: engine,
      pool: engine.pool, monitor: monitor, progress: progress)
  }
}
