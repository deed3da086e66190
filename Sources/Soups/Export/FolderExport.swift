import Checkpoints
import Kernels
import Platform
import Transformer

/// Writes a blend as a Hugging Face folder: one pass over the files, tensor by tensor, in bounded memory.
struct FolderExport {
  let point: BlendPoint
  let mix: WeightMix
  let options: ExportOptions

  init(_ point: BlendPoint, _ options: ExportOptions) {
    self.point = point
    self.options = options
    mix = point.mix
  }

  private func type(of tensor: MixedTensor) throws(BoneSoupError) -> ElementType {
    if let type = options.type { return type }
    return try mix.base.checkpoint.tensor(of: tensor.source).type
  }

  /// Bytes of the tensors.
  func byteCount() throws(BoneSoupError) -> Int { try list(mix.tensors).byteCount }

  private func list(_ tensors: [MixedTensor]) throws(BoneSoupError) -> TensorList {
    let list = try TensorList(allocator: mix.engine.allocator)
    for tensor in tensors { try list.append(tensor.name, type: try type(of: tensor), shape: tensor.shape) }
    return list
  }

  func run(_ path: String, monitor: Monitor) throws(BoneSoupError) {
    try mix.base.folder.requireReadable(mix.base.name)
    let tensors = mix.tensors
    let list = try list(tensors)
    let card = try ModelCard(
      point, library: "transformers", title: "A blend of a soup",
      summary: "Made by [BoneSoup](https://arxiv.org/abs/2502.10762): one model at one preference, whole; it is loaded "
        + "like any other model of its architecture.",
      options: options, sources: ExportSources(mix, readsBase: mix.baseShare != 0), monitor: monitor)
    let writer = try HuggingFaceFolderWriter(
      path, tensors: list, like: mix.base.folder, type: options.type, isUntied: mix.untiesHead, card: card.text,
      shardBytes: options.shardBytes ?? SafetensorsWriter.defaultShardBytes, allocator: mix.engine.allocator,
      monitor: monitor.silent)
    let total = tensors.reduce(0.0) { $0 + Double($1.source.elementCount) }
    var done = 0.0
    for (index, tensor) in tensors.enumerated() {
      try write(tensor, number: index, to: writer.tensors, monitor: monitor)
      done += Double(tensor.source.elementCount)
      try monitor.report(min(1, done / max(total, 1)))
    }
    try writer.commit(monitor: monitor.silent)
  }

  private func write(
    _ tensor: MixedTensor, number: Int, to writer: SafetensorsWriter, monitor: Monitor
  ) throws(BoneSoupError) {
    let engine = mix.engine
    let type = try type(of: tensor)
    let sum = TermSum(
      terms: try mix.terms(of: tensor, monitor: monitor), rows: tensor.rows, columns: tensor.columns,
      kernels: engine.kernels)
    let workers = Workers(pool: engine.pool, count: sum.partCount)
    // Each thread has an accumulator and room for a part.
    let partBytes = sum.rows(ofPart: 0).count * sum.columns * type.byteCount
    let size = TermSum.stretchLength * 4 + (partBytes + 63) & ~63
    let space = try Buffer(
      of: UInt8.self, count: workers.slotCount * size, allocator: engine.allocator, purpose: "parts of \(tensor.name)")
    try workers.runThrowing(monitor: monitor) { (part, slot) throws(BoneSoupError) in
      let accumulator = (space.pointer + slot * size).assumingMemoryBound(to: Float.self)
      let target = space.pointer + slot * size + TermSum.stretchLength * 4
      let rows = sum.rows(ofPart: part)
      sum.forEachStretch(ofPart: part, accumulator: accumulator) { row, stretch in
        let place = (row - rows.lowerBound) * sum.columns + stretch.lowerBound
        engine.kernels.narrow(
          source: accumulator, type: type, count: stretch.count, into: target + place * type.byteCount)
      }
      let (start, count) = (rows.lowerBound * sum.columns, rows.count * sum.columns)
      try requireFinite(target, type: type, count: count, tensor, from: start)
      try writer.write(
        UnsafeRawBufferPointer(start: target, count: count * type.byteCount), tensor: number,
        at: start * type.byteCount)
    }
  }

  /// f16 ends at 65,504: what does not fit is an error rather than infinity.
  private func requireFinite(
    _ values: UnsafeRawPointer, type: ElementType, count: Int, _ tensor: MixedTensor, from start: Int
  ) throws(BoneSoupError) {
    guard type == .f16, let index = mix.engine.kernels.firstNonFinite(type: type, source: values, count: count) else {
      return
    }
    throw .unsupported(
      "element \(start + index) of \(tensor.name) is no finite number in f16; export as bf16 or f32")
  }
}

extension FileProvider {
  /// Throws where the host's files may be gone by now: config and tokenizer are read again by an export.
  func requireReadable(_ name: String) throws(BoneSoupError) {
    guard staysReadable else {
      throw .unsupported(
        "\(name) was opened from a table of files that are not kept; open it from a folder, or from a table with data "
          + "that is mapped, to export it")
    }
  }
}
