public import Kernels
public import Platform

/// Fills the panels of one matrix after the other, by all threads of a pool. One call at a time.
public final class PanelPacker {
  private let engine: Engine
  private let pool: ThreadPool
  /// Of a thread.
  private let scratchBytes: Int
  private var scratch: Buffer?

  /// Numbers that a thread packs at least before it looks for more: so few that no thread waits long for another's last.
  private static let leastCount = 1 << 16
  /// Numbers after which it sees a cancel at the latest.
  private static let mostCount = 1 << 20

  /// For the matrices of a model.
  ///
  /// - Parameter pool: the engine's, or another.
  public init(_ config: ModelConfig, engine: Engine, pool: ThreadPool) {
    self.engine = engine
    self.pool = pool
    scratchBytes = Self.scratchBytes(config, kernels: engine.kernels)
  }

  /// What it takes from the first `pack` on.
  public static func byteCount(_ config: ModelConfig, kernels: Kernels, threadCount: Int) -> Int {
    scratchBytes(config, kernels: kernels) * threadCount
  }

  private static func scratchBytes(_ config: ModelConfig, kernels: Kernels) -> Int {
    kernels.packScratchBytes(columns: config.parameters.reduce(1) { max($0, $1.isMatrix ? $1.shape[1] : 0) })
  }

  private func room() throws(BoneSoupError) -> Buffer {
    if let scratch { return scratch }
    let made = try Buffer(
      byteCount: scratchBytes * pool.threadCount, allocator: engine.allocator, purpose: "the sums of some rows")
    scratch = made
    return made
  }

  /// The sum of terms of `type`, each of which holds the whole matrix row after row.
  public func pack(
    _ terms: [MergeTerm], type: ElementType, _ weight: Weight, into panels: Buffer, monitor: Monitor
  ) throws(BoneSoupError) {
    let scratch = try room()
    let (kernels, scratchBytes) = (engine.kernels, scratchBytes)
    let rowBytes = weight.columns * type.byteCount
    let panelCount = Kernels.panelRows * weight.columns
    let (least, most) = (max(1, Self.leastCount / panelCount), max(1, Self.mostCount / panelCount))
    Workers(pool: pool, count: weight.panelCount).runTapering(least: least, monitor: monitor) { range, slot in
      withUnsafeTemporaryAllocation(of: MergeTerm.self, capacity: terms.count) { moved in
        for start in stride(from: range.lowerBound, to: range.upperBound, by: most) where !monitor.isCancelled {
          let first = start * Kernels.panelRows
          let end = min(min(start + most, range.upperBound) * Kernels.panelRows, weight.rows)
          for (index, term) in terms.enumerated() {
            moved.initializeElement(
              at: index, to: MergeTerm(source: term.source + first * rowBytes, coefficient: term.coefficient))
          }
          kernels.packSums(
            weight.format, type: type, terms: UnsafeBufferPointer(moved), rows: end - first, columns: weight.columns,
            scratch: scratch.pointer + slot * scratchBytes, into: panels.pointer + start * weight.panelBytes)
        }
      }
    }
    try monitor.check()
  }
}
