public import Kernels
public import Platform

extension Weight {
  /// Numbers that a thread packs at least before it looks for more: so few that no thread waits long for another's last.
  private static let leastCount = 1 << 16
  /// Numbers after which it sees a cancel at the latest.
  private static let mostCount = 1 << 20

  /// Shares the panels out to the pool's threads: calls `body(panels, slot)` for long runs of them first and short ones last.
  public func eachRun(
    of pool: ThreadPool, monitor: Monitor, _ body: (_ panels: Range<Int>, _ slot: Int) -> Void
  ) throws(BoneSoupError) {
    let numbers = Kernels.panelRows * columns
    let (least, most) = (max(1, Self.leastCount / numbers), max(1, Self.mostCount / numbers))
    Workers(pool: pool, count: panelCount).runTapering(least: least, monitor: monitor) { run, slot in
      for start in stride(from: run.lowerBound, to: run.upperBound, by: most) where !monitor.isCancelled {
        body(start..<min(start + most, run.upperBound), slot)
      }
    }
    try monitor.check()
  }

  /// Makes the panels of the sum of terms of `type`, each of which holds the whole matrix row after row.
  public func pack(
    _ terms: [MergeTerm], type: ElementType, into panels: Buffer, kernels: Kernels, pool: ThreadPool, monitor: Monitor
  ) throws(BoneSoupError) {
    try eachRun(of: pool, monitor: monitor) { run, _ in
      let first = run.lowerBound * Kernels.panelRows
      let end = min(run.upperBound * Kernels.panelRows, rows)
      let offset = first * columns * type.byteCount
      withUnsafeTemporaryAllocation(of: MergeTerm.self, capacity: terms.count) { moved in
        for (index, term) in terms.enumerated() {
          moved.initializeElement(
            at: index, to: MergeTerm(source: term.source + offset, coefficient: term.coefficient))
        }
        kernels.packSums(
          format, type: type, terms: UnsafeBufferPointer(moved), rows: end - first, columns: columns,
          into: panels.pointer + run.lowerBound * panelBytes)
      }
    }
  }
}
