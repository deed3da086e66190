public import Kernels
public import Platform

/// What soups, blends and sessions live in: threads, a memory budget, an instruction-set level.
public final class Engine: Sendable {
  public let pool: ThreadPool
  public let allocator: Allocator
  public let kernels: Kernels
  public let log: Log

  public init(pool: ThreadPool, allocator: Allocator, kernels: Kernels = .detect(), log: Log = .silent) {
    self.pool = pool
    self.allocator = allocator
    self.kernels = kernels
    self.log = log
  }
}
