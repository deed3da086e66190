import Kernels
import Platform

/// Runs projections over the pool: panels are shared out, and groups of tokens where there are few panels; sums
/// are never split.
struct ProjectionRunner {
  let kernels: Kernels
  let pool: ThreadPool
  let monitor: Monitor
  /// `scratchBytes` for each thread of the pool.
  let scratch: UnsafeMutableRawPointer
  let scratchBytes: Int

  /// Below this many multiplications a dispatch costs more than it saves.
  private static let smallWork = 1 << 16

  /// Multiplications that a thread takes at least: a few microseconds.
  private static let leastWork = 1 << 19

  /// Tokens that a weight is multiplied by in the time that it takes to come from memory.
  private static let tokensPerLoad = 16

  /// Room that a thread needs for products of matrices with so many columns: a panel made of rows, and one widened.
  static func scratchBytes(columns: Int) -> Int { 2 * Kernels.panelRows * 4 * columns }

  /// - Parameter then: called for each panel when all projections are done with it, as `then(rows of the matrix, tokens)`;
  ///   the projections then have equally many rows.
  func run(
    _ projections: [Projection], groups: TokenGroups, then: ((Range<Int>, Range<Int>) -> Void)? = nil
  ) {
    guard groups.count > 0 else { return }
    defer { for projection in projections { projection.finish(isWhole: !monitor.isCancelled) } }
    projections.withUnsafeBufferPointer { projections in
      groups.withView { run(projections, groups: $0, then: then) }
    }
  }

  private func run(
    _ projections: UnsafeBufferPointer<Projection>, groups: TokenGroups.View,
    then: ((Range<Int>, Range<Int>) -> Void)?
  ) {
    // With `then` the projections go side by side, else one after the other.
    let isJoint = then != nil
    var panels = 0
    var weights = 0
    var isPlaced = true
    for projection in projections {
      panels = isJoint ? projection.panelCount : panels + projection.panelCount
      weights += projection.weightCount
      isPlaced = isPlaced && projection.isPlaced
    }
    func compute(_ wanted: Range<Int>, _ range: Range<Int>, _ scratch: UnsafeMutableRawPointer) {
      var first = 0
      for index in projections.indices {
        let count = projections[index].panelCount
        let panels = wanted.clamped(to: first..<first + count)
        if !panels.isEmpty {
          projections[index].compute(
            panels.lowerBound - first..<panels.upperBound - first, groups: groups, groupRange: range, kernels: kernels,
            scratch: scratch)
        }
        if !isJoint { first += count }
      }
      if let then { then(projections[0].rows(of: wanted), groups.tokens(range)) }
    }
    if weights * groups.places < Self.smallWork {
      for panel in 0..<panels { compute(panel..<panel + 1, 0..<groups.count, scratch) }
      return
    }
    // Few panels are cut into slices of the groups, where nothing is packed on the way: also those that many groups pass,
    // so that no thread is left with a long piece at the end.
    let most = panels < pool.threadCount * 8 ? groups.count : groups.count / 4
    let slices = isPlaced ? max(1, min(most, pool.threadCount * 32 / panels)) : 1
    let units = panels * slices
    // Few tokens pass many panels in one go: calls would cost more than they do. Many stay with one while what comes
    // of it is in the cache.
    let isOneGo = isPlaced && groups.count == 1
    let least = max(1, Self.leastWork * units / (weights * max(groups.places, Self.tokensPerLoad)))
    Workers(pool: pool, count: units).runTapering(least: least, monitor: monitor) { taken, slot in
      let own = scratch + slot * scratchBytes
      if isOneGo { return compute(taken, 0..<1, own) }
      for unit in taken {
        if monitor.isCancelled { return }
        let slice = unit % slices
        let panel = unit / slices
        compute(panel..<panel + 1, groups.count * slice / slices..<groups.count * (slice + 1) / slices, own)
      }
    }
  }
}
