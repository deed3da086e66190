import Checkpoints
import Kernels
import Platform
import Transformer

extension RankFactors {
  /// Writes both factors as a module of an adapter, with zeros up to rank `padded`.
  func write(
    module: Int, kind: AdapterModule.Kind, padded: Int, type: ElementType, to writer: AdapterFolderWriter,
    engine: Engine
  ) throws(BoneSoupError) {
    // W [out × in] has U for its left side; an embedding [vocabulary × width] has D there.
    let (downBlock, downLength) = kind == .linear ? (right, columns) : (left, rows)
    let (upBlock, upLength) = kind == .linear ? (left, rows) : (right, columns)
    let down = try Self.narrow(
      downBlock.elements(Float.self), rank: rank, length: downLength, padded: padded, isTransposed: false, type: type,
      engine: engine)
    let up = try Self.narrow(
      upBlock.elements(Float.self), rank: rank, length: upLength, padded: padded, isTransposed: true, type: type,
      engine: engine)
    for buffer in [down, up] {
      guard
        engine.kernels.firstNonFinite(
          type: type, source: buffer.pointer, count: buffer.byteCount / type.byteCount) == nil
      else {
        throw .unsupported(
          "module \(module) of the adapter holds numbers that are not finite in \(type.name)"
            + (type == .f16 ? "; export as bf16 or f32" : ""))
      }
    }
    try writer.write(module: module, down: down.bytes, up: up.bytes)
  }
}
