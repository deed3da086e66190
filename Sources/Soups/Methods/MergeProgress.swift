import Glibc
import Platform
import Synchronization

/// How many elements are merged, counted by all threads and told to the host by the one that called.
final class MergeProgress: Sendable {
  private let monitor: Monitor
  private let total: Double
  private let done = Atomic<Int>(0)
  private let lastReport = Atomic<Int>(0)
  /// Often enough for a bar, seldom enough to cost nothing.
  private static let interval = 20_000_000

  init(total: Int, monitor: Monitor) {
    self.total = Double(max(total, 1))
    self.monitor = monitor
  }

  func add(_ count: Int) { done.wrappingAdd(count, ordering: .relaxed) }

  /// Tells the host, unless it was told just before. On the calling thread only.
  func report() throws(BoneSoupError) {
    let now = Self.nanoseconds()
    guard now &- lastReport.load(ordering: .relaxed) >= Self.interval else { return }
    lastReport.store(now, ordering: .relaxed)
    try monitor.report(min(1, Double(done.load(ordering: .relaxed)) / total))
  }

  static func nanoseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int(time.tv_sec) &* 1_000_000_000 &+ Int(time.tv_nsec)
  }
}
