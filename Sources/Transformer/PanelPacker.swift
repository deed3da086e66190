public import Kernels
public import Platform

/// Fills the panels of one matrix after the other, by all threads of a pool.
public struct PanelPacker: Sendable {
  private let kernels: Kernels
  private let pool: ThreadPool
  private let scratch: Buffer
  /// Of a thread.
  private let scratchBytes: Int

  /// Numbers that a thread packs at least before it looks for more: so few that no thread waits long for another's last.
  private static let leastCount = 1 << 16

  /// For the matrices of a model.
  ///
  /// - Parameter pool: the engine's, or another.
  public init(_ config: ModelConfig, engine: Engine, pool: ThreadPool) throws(BoneSoupError) {
    let columns = config.parameters.reduce(1) { max($0, $1.isMatrix ? $1.shape[1] : 0) }
    kernels = engine.kernels
    self.pool = pool
    scratchBytes = kernels.packScratchBytes(columns: columns)
    scratch = try Buffer(
      byteCount: scratchBytes * pool.threadCount, allocator: engine.allocator, purpose: "the sums of some rows")
  }

  /// The sum of terms of `type`, each of which holds the whole matrix row after row.
  public func pack(
    _ terms: [MergeTerm], type: ElementType, _ weight: Weight, into panels: Buffer, monitor: Monitor
  ) throws(BoneSoupError) {
    let rowBytes = weight.columns * type.byteCount
    let least = max(1, Self.leastCount / (Kernels.panelRows * weight.columns))
    Workers(pool: pool, count: weight.panelCount).runTapering(least: least, monitor: monitor) { range, slot in
      let first = range.lowerBound * Kernels.panelRows
      let end = min(range.upperBound * Kernels.panelRows, weight.rows)
      withUnsafeTemporaryAllocation(of: MergeTerm.self, capacity: terms.count) { moved in
        for (index, term) in terms.enumerated() {
          moved.initializeElement(
            at: index, to: MergeTerm(source: term.source + first * rowBytes, coefficient: term.coefficient))
        }
        kernels.packSums(
          weight.format, type: type, terms: UnsafeBufferPointer(moved), rows: end - first, columns: weight.columns,
          scratch: scratch.pointer + slot * scratchBytes,
          into: panels.pointer + range.lowerBound * weight.panelBytes)
      }
    }
    try monitor.check()
  }
}
