import Glibc

/// Time that goes on evenly.
enum Clock {
  static var seconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Seconds that `body` takes.
  static func time<E: Error>(_ body: () throws(E) -> Void) throws(E) -> Double {
    let start = seconds
    try body()
    return seconds - start
  }
}
