import Platform

/// The numbers between two steps of the forward pass, for up to `rows` rows.
final class Workspace {
  let rows: Int
  let rankWidth: Int
  private let buffer: Buffer

  /// The residual stream [rows × hidden].
  let stream: UnsafeMutablePointer<Float>
  /// The normed stream, input of the linear layers [rows × hidden].
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
  /// [rows × head size / 2] each.
  let cosine: UnsafeMutablePointer<Float>
  let sine: UnsafeMutablePointer<Float>

  init(_ config: ModelConfig, rows: Int, rankWidth: Int, allocator: Allocator) throws(BoneSoupError) {
    let attentionWidth = config.headCount * config.headSize
    let keyValueWidth = config.keyValueHeadCount * config.headSize
    let half = config.headSize / 2
    let widths = [
      config.hiddenSize, config.hiddenSize, attentionWidth, keyValueWidth, keyValueWidth, attentionWidth,
      config.intermediateSize, config.intermediateSize, rankWidth, half, half,
    ]
    let total = widths.reduce(0, +)
    let buffer = try Buffer(
      of: Float.self, count: total * rows, allocator: allocator, purpose: "the work space of \(rows) rows")
    var next = buffer.elements(Float.self)
    func take(_ width: Int) -> UnsafeMutablePointer<Float> {
      defer { next += width * rows }
      return next
    }
    self.rows = rows
    self.rankWidth = rankWidth
    self.buffer = buffer
    stream = take(widths[0])
    normed = take(widths[1])
    query = take(widths[2])
    key = take(widths[3])
    value = take(widths[4])
    attention = take(widths[5])
    gate = take(widths[6])
    up = take(widths[7])
    ranks = take(widths[8])
    cosine = take(widths[9])
    sine = take(widths[10])
  }
}
