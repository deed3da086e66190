public import Kernels
public import Platform

/// What soups, blends and sessions live in: threads, a memory budget, an instruction-set level.
public final class Engine: Sendable {
  public let pool: ThreadPool
  public let allocator: Allocator
  public let kernels: Kernels
  public let log: Log
  private let background = Locked<ThreadPool?>(nil)

  public init(pool: ThreadPool, allocator: Allocator, kernels: Kernels = .detect(), log: Log = .silent) {
    self.pool = pool
    self.allocator = allocator
    self.kernels = kernels
    self.log = log
  }

  /// Threads like `pool`'s for work in the background, such as folds, so that decoding never waits for it. They are made
  /// when first asked for, and sleep while there is nothing to do.
  public var backgroundPool: ThreadPool {
    background.withLock { made in
      let pool = made ?? pool.twin()
      made = pool
      return pool
    }
  }
}
