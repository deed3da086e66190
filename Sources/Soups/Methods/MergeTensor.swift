import Checkpoints
import Glibc
import Kernels
import Platform
import Transformer

/// One tensor of all models, to be merged: what a method reads, its parameters for this tensor, and where it writes.
final class MergeTensor: Sendable {
  /// At most 200 bytes of the name: for messages.
  let name: String
  /// Of the whole name: with the seed, model and element it decides what is drawn.
  let nameHash: UInt64
  let shape: MergeShape
  /// nil for methods that need none.
  let base: (any TensorSource)?
  let models: [any TensorSource]
  let values: MethodValues
  let seed: UInt64
  let sink: any TensorSink
  let engine: Engine
  let pool: ThreadPool
  let monitor: Monitor
  private let progress: MergeProgress

  init(
    name: String, nameHash: UInt64, shape: MergeShape, base: (any TensorSource)?, models: [any TensorSource],
    values: MethodValues, seed: UInt64, sink: any TensorSink, engine: Engine, pool: ThreadPool, monitor: Monitor,
    progress: MergeProgress
  ) {
    self.name = name
    self.nameHash = nameHash
    self.shape = shape
    self.base = base
    self.models = models
    self.values = values
    self.seed = seed
    self.sink = sink
    self.engine = engine
    self.pool = pool
    self.monitor = monitor
    self.progress = progress
  }

  var count: Int { shape.count }
  var kernels: Kernels { engine.kernels }

  /// A stretch of the tensor and one thread's memory for it.
  struct Block {
    let index: Int
    /// The thread's number: no two blocks at once have the same.
    let slot: Int
    let range: Range<Int>
    fileprivate let memory: UnsafeMutablePointer<Float>
    fileprivate let stride: Int

    var count: Int { range.count }
    /// Room for `count` numbers and `MergeShape.margin` more.
    func buffer(_ number: Int) -> UnsafeMutablePointer<Float> { memory + (number + 1) * stride }
    fileprivate var raw: UnsafeMutableRawPointer { UnsafeMutableRawPointer(memory) }
  }

  /// Calls `body` for each block, on all threads. They are taken up in their order.
  ///
  /// - Parameters:
  ///   - buffers: how many buffers a block has.
  ///   - ofRows: blocks are whole rows.
  ///   - only: the blocks' numbers; nil is all.
  ///   - step: only every so many of these.
  func forBlocks(
    buffers: Int, ofRows: Bool = false, only: Range<Int>? = nil, step: Int = 1,
    _ body: (Block) throws(BoneSoupError) -> Void
  ) throws(BoneSoupError) {
    let length = shape.blockLength(ofRows: ofRows)
    let stride = length + MergeShape.margin
    let chosen = only ?? 0..<shape.blockCount(ofRows: ofRows)
    let workers = Workers(pool: pool, count: (chosen.count + step - 1) / step)
    let memory = try Buffer(
      byteCount: shape.blockBytes(buffers: buffers, ofRows: ofRows), allocator: engine.allocator,
      purpose: "the blocks of \(name)")
    let count = count
    let caller = pthread_self()
    try workers.runThrowing(monitor: monitor) { (piece, slot) throws(BoneSoupError) in
      let index = chosen.lowerBound + piece * step
      let start = index * length
      try body(
        Block(
          index: index, slot: slot, range: start..<min(start + length, count),
          memory: memory.elements(Float.self) + slot * (buffers + 1) * stride, stride: stride))
      if pthread_equal(pthread_self(), caller) != 0 { try self.progress.report() }
    }
  }

  /// θ₀ of a block; zeros without a base.
  func readBase(_ block: Block, into values: UnsafeMutablePointer<Float>) throws(BoneSoupError) {
    guard let base else { return values.update(repeating: 0, count: block.count) }
    try base.read(block.range, into: values, raw: block.raw, kernels: kernels)
  }

  /// Δᵢ = θᵢ − θ₀.
  ///
  /// - Parameter base: θ₀ of the block.
  func readDelta(
    _ model: Int, _ block: Block, base: UnsafePointer<Float>, into values: UnsafeMutablePointer<Float>
  ) throws(BoneSoupError) {
    try models[model].readDelta(block.range, base: base, into: values, raw: block.raw, kernels: kernels)
  }

  /// θᵢ of a model that is stored as such.
  func readModel(_ model: Int, _ block: Block, into values: UnsafeMutablePointer<Float>) throws(BoneSoupError) {
    try models[model].read(block.range, into: values, raw: block.raw, kernels: kernels)
  }

  /// The merged elements of a block.
  func write(_ values: UnsafePointer<Float>, _ block: Block) throws(BoneSoupError) {
    try sink.write(values, block.range, raw: block.raw, kernels: kernels)
    progress.add(block.count)
  }
}

/// A method's parameters for one tensor.
struct MethodValues: Sendable {
  /// One value, or one for each model.
  var numbers: [String: [Double]] = [:]

  func number(_ name: String, model: Int = 0) -> Double {
    guard let values = numbers[name], !values.isEmpty else { return 0 }
    return values[min(model, values.count - 1)]
  }

  func flag(_ name: String) -> Bool { number(name) != 0 }
}
