import Checkpoints
import Glibc
import Platform
import Transformer

extension TensorView {
  /// The first element whose value differs, or whose bits do where both tensors are of one type; nil where all are equal.
  ///
  /// - Parameter other: of the same shape.
  func firstDifference(
    from other: TensorView, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> Int? {
    try other.require(shape: shape)
    guard count > 0 else { return nil }
    let left = try start()
    let right = try other.start()
    let piece = 4096
    let room = try Buffer(of: Float.self, count: 2 * piece, allocator: engine.allocator, purpose: "a comparison")
    let values = room.elements(Float.self)
    for begin in stride(from: 0, to: count, by: piece) {
      if begin & 0xFFFFF == 0 { try monitor.check() }
      let count = min(piece, count - begin)
      let one = left + begin * type.byteCount
      let two = right + begin * other.type.byteCount
      if type == other.type, memcmp(one, two, count * type.byteCount) == 0 { continue }
      engine.kernels.widen(type: type, source: one, count: count, into: values)
      engine.kernels.widen(type: other.type, source: two, count: count, into: values + piece)
      for index in 0..<count where values[index].bitPattern != values[piece + index].bitPattern {
        return begin + index
      }
    }
    return nil
  }
}

extension Checkpoint {
  /// Throws where the configuration says that the head is the embedding, and the file has another head beside it: it
  /// would not be read.
  func requireTiedHead(_ config: ModelConfig, engine: Engine, monitor: Monitor) throws(BoneSoupError) {
    guard config.tiesEmbeddings, let embedding = config.parameters.first, let alias = embedding.alias,
      let one = try tensor(embedding.name), let other = try tensor(alias)
    else { return }
    try one.require(shape: embedding.shape)
    if let element = try one.firstDifference(from: other, engine: engine, monitor: monitor) {
      throw .mismatch(
        "\(name): \(alias) differs from \(embedding.name) at element \(element), and the base's config.json ties the two "
          + "(tie_word_embeddings): a model with a head of its own needs tie_word_embeddings false, in base and backbones"
      )
    }
  }
}
