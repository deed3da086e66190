import Synchronization

/// Numbered pieces of work shared by a pool's threads, each thread with a slot number for memory of its own.
///
/// Pieces are taken in order, so that those which read files read forwards.
public struct Workers: Sendable {
  private let pool: ThreadPool
  private let count: Int

  /// - Parameter count: how many pieces.
  public init(pool: ThreadPool, count: Int) {
    self.pool = pool
    self.count = count
  }

  /// Slots that may be in use at once.
  public var slotCount: Int { pool.threadCount }

  /// Calls `body(piece, slot)` for each piece; no two at once have the same slot. Ends early after a cancel.
  public func run(monitor: Monitor, _ body: (Int, Int) -> Void) {
    let next = Atomic<Int>(0)
    pool.run(parts: min(slotCount, count)) { slot in
      while !monitor.isCancelled {
        let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard piece < count else { return }
        body(piece, slot)
      }
    }
  }

  /// Calls `body(pieces, slot)` for runs of pieces that follow each other: long ones first, of `least` pieces at the end,
  /// so that the threads end together.
  public func runTapering(least: Int, monitor: Monitor, _ body: (Range<Int>, Int) -> Void) {
    let next = Atomic<Int>(0)
    pool.run(parts: min(slotCount, (count + least - 1) / least)) { slot in
      var start = next.load(ordering: .relaxed)
      while start < count, !monitor.isCancelled {
        let end = min(count, start + max(least, (count - start) / (2 * slotCount)))
        let (isMine, now) = next.compareExchange(expected: start, desired: end, ordering: .relaxed)
        if isMine {
          body(start..<end, slot)
          start = next.load(ordering: .relaxed)
        } else {
          start = now
        }
      }
    }
  }

  /// The same for work that can fail; throws the first failure, and `.cancelled` after a cancel.
  public func runThrowing(
    monitor: Monitor, _ body: (Int, Int) throws(BoneSoupError) -> Void
  ) throws(BoneSoupError) {
    let failure = FirstFailure()
    let next = Atomic<Int>(0)
    pool.run(parts: min(slotCount, count)) { slot in
      while !monitor.isCancelled, failure.error == nil {
        let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard piece < count else { return }
        do throws(BoneSoupError) { try body(piece, slot) } catch { failure.keep(error) }
      }
    }
    if let error = failure.error { throw error }
    try monitor.check()
  }

  private final class FirstFailure: Sendable {
    private let first = Locked<BoneSoupError?>(nil)
    private let isSet = Atomic<Bool>(false)

    var error: BoneSoupError? { isSet.load(ordering: .acquiring) ? first.withLock { $0 } : nil }

    func keep(_ error: BoneSoupError) {
      first.withLock { if $0 == nil { $0 = error } }
      isSet.store(true, ordering: .releasing)
    }
  }
}
