import CIntrinsics
import Glibc

/// Runs the same work over numbered parts on several threads.
///
/// Idle threads spin for a moment, so that the next run starts within about a microsecond, and then sleep. They block
/// all signals, are named "bonesoup", and compute with the default floating-point control.
public final class ThreadPool: Sendable {
  /// Threads that share the work, the caller's included.
  public let threadCount: Int

  /// The CPUs that its threads are pinned to; empty where they are not.
  public let cpus: [Int]

  private let spinMicroseconds: Int
  private let crew: ThreadCrew
  private let threads: [pthread_t]

  /// Where the system refuses to create so many threads, there are fewer; `threadCount` says how many.
  ///
  /// - Parameters:
  ///   - threadCount: at least 1 and at most 1024 are made of it. More than `ProcessorSet.count` is slower, not wrong.
  ///   - spinMicroseconds: how long an idle thread spins before it sleeps.
  ///   - cpus: where not empty, the pool's threads are pinned to these CPUs in turn, leaving the first to the caller's
  ///     thread, which is not touched. A CPU that is not there pins nothing.
  public init(threadCount: Int, spinMicroseconds: Int = 50, cpus: [Int] = []) {
    ForkGuard.register()
    let crew = ThreadCrew(spinMicroseconds: spinMicroseconds)
    var threads: [pthread_t] = []
    if !ForkGuard.isForkedChild {
      for index in 1..<max(min(threadCount, 1024), 1) {
        let cpu = cpus.isEmpty ? nil : cpus[index % cpus.count]
        guard let thread = ThreadCrew.Member(crew: crew, cpu: cpu).start() else { break }
        threads.append(thread)
      }
    }
    self.crew = crew
    self.threads = threads
    self.threadCount = threads.count + 1
    self.cpus = cpus
    self.spinMicroseconds = spinMicroseconds
  }

  /// Another pool like this one, for work that must not take turns with this one's.
  public func twin() -> ThreadPool {
    ThreadPool(threadCount: threadCount, spinMicroseconds: spinMicroseconds, cpus: cpus)
  }

  deinit {
    guard !ForkGuard.isForkedChild else { return }
    crew.dismiss()
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Calls `body(0)` … `body(parts - 1)`, each once, in any order and on any thread, and returns when all have ended.
  ///
  /// Any thread may call it, a body too; where the pool is at work already, and in a forked child, the caller does its
  /// parts alone. What the bodies wrote is visible to the caller afterwards.
  public func run(parts: Int, _ body: (Int) -> Void) {
    if parts > 1, !threads.isEmpty, !ForkGuard.isForkedChild, crew.run(parts: parts, body) { return }
    var part = 0
    while part < parts {
      body(part)
      part &+= 1
    }
  }
}
