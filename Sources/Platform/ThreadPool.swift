/// Runs the same work over numbered parts on several threads.
public final class ThreadPool: Sendable {
  /// Threads that share the work, the caller's included.
  public let threadCount: Int

  public init(threadCount: Int) { self.threadCount = max(1, threadCount) }

  /// Calls `body(0)` … `body(parts - 1)`, each once, in any order and on any thread, and returns when all have ended.
  ///
  /// Any thread may call it; where the pool is at work for another, the caller does its parts alone.
  public func run(parts: Int, _ body: (Int) -> Void) {
    for part in 0..<max(parts, 0) { body(part) }
  }
}
