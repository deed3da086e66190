import Kernels
import Platform

/// The numbers between two steps of the forward pass, for up to `rows` rows.
final class Workspace {
  let rows: Int
  let rankWidth: Int
  private let buffer: Buffer

  /// The residual stream [rows × hidden].
  let stream: UnsafeMutablePointer<Float>
  /// The normed stream [rows × hidden].
  let normed: UnsafeMutablePointer<Float>
  /// [rows × heads · head size].
  let query: UnsafeMutablePointer<Float>
  /// [rows × kv heads · head size] each.
  let key: UnsafeMutablePointer<Float>
  let value: UnsafeMutablePointer<Float>
  /// [rows × heads · head size].
  let attention: UnsafeMutablePointer<Float>
  /// [rows × intermediate] each.
  let gate: UnsafeMutablePointer<Float>
  let up: UnsafeMutablePointer<Float>
  /// D·x of the adapters [rows × rankWidth].
  let ranks: UnsafeMutablePointer<Float>
  /// What a row's D·x is multiplied by [rankWidth].
  let factors: UnsafeMutablePointer<Float>
  /// [rows × head size / 2] each.
  let cosine: UnsafeMutablePointer<Float>
  let sine: UnsafeMutablePointer<Float>
  /// The input of a linear layer, packed for the weights' format; and for the adapters' where that is another.
  let packed: UnsafeMutableRawPointer
  let packedForAdapters: UnsafeMutableRawPointer
  /// g ∘ (D·x), packed, one adapter after the other.
  let packedRanks: UnsafeMutableRawPointer
  /// `scratchBytes` for each thread.
  let scratch: UnsafeMutableRawPointer
  let scratchBytes: Int

  init(_ config: ModelConfig, rows: Int, rankWidth: Int, engine: Engine) throws(BoneSoupError) {
    let attentionWidth = config.headCount * config.headSize
    let keyValueWidth = config.keyValueHeadCount * config.headSize
    let half = config.headSize / 2
    let widths = [
      config.hiddenSize, config.hiddenSize, attentionWidth, keyValueWidth, keyValueWidth, attentionWidth,
      config.intermediateSize, config.intermediateSize, rankWidth, half, half,
    ]
    let widest = max(config.hiddenSize, attentionWidth, config.intermediateSize)
    let places = TokenGroups.places(tokens: rows)
    let kernels = engine.kernels
    let packedBytes = WeightFormat.allCases.reduce(0) { max($0, kernels.tokenBytes($1, columns: widest)) } * places
    // Each of a layer's adapters is padded by itself: to pairs of bf16 at most, and to whole cache lines.
    let rankBytes = rankWidth == 0 ? 0 : places * 4 * (rankWidth + 2 * LinearRole.allCases.count) + 64 * 8
    // An embedding's adapters are a product with as many columns as they have ranks.
    scratchBytes = ProjectionRunner.scratchBytes(columns: max(widest, rankWidth))
    let sizes =
      widths.map { $0 * rows * 4 }
      + [
        4 * rankWidth, packedBytes, rankWidth == 0 ? 0 : packedBytes, rankBytes, scratchBytes * engine.pool.threadCount,
      ]
    let buffer = try Buffer(
      byteCount: sizes.reduce(0) { $0 + Self.aligned($1) }, allocator: engine.allocator,
      purpose: "the work space of \(rows) rows")
    var next = buffer.pointer
    var index = 0
    func take() -> UnsafeMutableRawPointer {
      defer {
        next += Self.aligned(sizes[index])
        index += 1
      }
      return next
    }
    func takeFloats() -> UnsafeMutablePointer<Float> { take().assumingMemoryBound(to: Float.self) }
    self.rows = rows
    self.rankWidth = rankWidth
    self.buffer = buffer
    stream = takeFloats()
    normed = takeFloats()
    query = takeFloats()
    key = takeFloats()
    value = takeFloats()
    attention = takeFloats()
    gate = takeFloats()
    up = takeFloats()
    ranks = takeFloats()
    cosine = takeFloats()
    sine = takeFloats()
    factors = takeFloats()
    packed = take()
    packedForAdapters = take()
    packedRanks = take()
    scratch = take()
  }

  private static func aligned(_ byteCount: Int) -> Int { (byteCount + 63) & ~63 }

  /// Room for the logits of several rows together, kept for the next step.
  private var logits: Buffer?

  func logits(count: Int, allocator: Allocator) throws(BoneSoupError) -> UnsafeMutablePointer<Float> {
    if let logits, logits.byteCount >= count * 4 { return logits.elements() }
    logits = nil
    let made = try Buffer(of: Float.self, count: count, allocator: allocator, purpose: "the logits of a step")
    logits = made
    return made.elements()
  }
}
