import Checkpoints
import Kernels
import Platform
import Transformer

/// The changes of one tensor by all backbones, read side by side.
struct ComparedTensor {
  private let tensor: MixedTensor
  private let sums: ChangeSums
  private let engine: Engine
  /// θ₀.
  private let base: TermSum
  /// Δᵢ = θᵢ − θ₀, or Σ sUD; without terms where it is 0.
  private let changes: [TermSum]

  /// Numbers of all changes together that are looked at at once.
  private static let stretchLength = 1024

  init(_ tensor: MixedTensor, _ mix: WeightMix, _ sums: ChangeSums) throws(BoneSoupError) {
    self.tensor = tensor
    self.sums = sums
    engine = mix.engine
    let stored = try mix.base.checkpoint.tensor(of: tensor.source)
    var changes: [TermSum] = []
    for backbone in mix.backbones {
      changes.append(try backbone.change(of: tensor, from: mix.base, engine: mix.engine))
    }
    self.changes = changes
    base = TermSum(
      terms: [try FoldTerm(stored, coefficient: 1)], rows: tensor.rows, columns: tensor.columns,
      kernels: mix.engine.kernels)
  }

  /// Adds up the row of this tensor, which holds zeros.
  func compare(into row: UnsafeMutablePointer<Double>, monitor: Monitor) throws(BoneSoupError) {
    let parts = base.partCount
    let partial = try Buffer(
      of: Double.self, count: parts * sums.width, allocator: engine.allocator, purpose: "the parts of a comparison")
    let length = Self.stretchLength
    let workers = Workers(pool: engine.pool, count: parts)
    // Base, changes, and two bytes of signs for each element.
    let size = (changes.count + 2) * length
    let space = try Buffer(
      of: Float.self, count: workers.slotCount * size, allocator: engine.allocator, purpose: "stretches of changes")
    workers.run(monitor: monitor) { part, slot in
      let target = partial.elements(Double.self) + part * sums.width
      target.update(repeating: 0, count: sums.width)
      let values = space.elements(Float.self) + slot * size
      let signs = UnsafeMutableRawPointer(values + (changes.count + 1) * length).assumingMemoryBound(to: UInt8.self)
      for line in base.rows(ofPart: part) {
        for start in stride(from: 0, to: tensor.columns, by: length) {
          let stretch = start..<min(start + length, tensor.columns)
          base.compute(row: line, stretch: stretch, into: values)
          for (index, change) in changes.enumerated() {
            change.compute(row: line, stretch: stretch, into: values + (index + 1) * length)
          }
          sums.add(
            base: values, changes: values + length, spacing: length, count: stretch.count, signs: signs, to: target)
        }
      }
    }
    try monitor.check()
    for part in 0..<parts { sums.add(partial.elements(Double.self) + part * sums.width, to: row) }
  }
}

extension Backbone {
  /// Δ of a tensor.
  func change(of tensor: MixedTensor, from base: BaseModel, engine: Engine) throws(BoneSoupError) -> TermSum {
    var terms: [FoldTerm] = []
    switch content {
    case .full(let checkpoint):
      terms = [
        try FoldTerm(try checkpoint.tensor(of: tensor.source), coefficient: 1),
        try FoldTerm(try base.checkpoint.tensor(of: tensor.source), coefficient: -1),
      ]
    case .lowRank(let adapter):
      for module in adapter.modules where module.name == tensor.module {
        terms.append(try FoldTerm(module, coefficient: 1, columns: tensor.columns, engine: engine))
      }
    }
    return TermSum(terms: terms, rows: tensor.rows, columns: tensor.columns, kernels: engine.kernels)
  }
}
