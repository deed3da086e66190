import Glibc
import Platform
import Synchronization
import Testing

private func milliseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

@Suite struct BackgroundTaskTests {
  @Test func whoWaitsGetsTheResultOrLosesPatience() throws {
    let abandoned = Flag()
    let open = Flag()
    let task = try BackgroundTask(abandoned: abandoned) { () throws(BoneSoupError) in
      while !open.isRaised && !abandoned.isRaised { usleep(1000) }
      return 7
    }
    let start = milliseconds()
    #expect(task.wait(milliseconds: 0) == nil)
    #expect(task.wait(milliseconds: 1030) == nil)
    #expect(milliseconds() - start >= 1030)
    open.raise()
    #expect(try task.wait(milliseconds: nil)?.get() == 7)
    #expect(try task.wait(milliseconds: 0)?.get() == 7)
  }

  @Test func lettingGoStopsTheWork() throws {
    let abandoned = Flag()
    let ended = Flag()
    do {
      _ =
        try BackgroundTask(abandoned: abandoned) { () throws(BoneSoupError) in
          while !abandoned.isRaised { usleep(1000) }
          ended.raise()
          throw .cancelled
        } as BackgroundTask<Int>
    }
    #expect(ended.isRaised)
  }

  @Test func aValueIsMadeOnceAndAFailureIsItsMakersAlone() throws {
    let value = OnDemand<Int>()
    #expect(value.value == nil)
    #expect(throws: BoneSoupError.io("no")) {
      try value.get(monitor: .none) { () throws(BoneSoupError) in throw .io("no") }
    }
    let made = Atomic<Int>(0)
    let sum = Atomic<Int>(0)
    ThreadPool(threadCount: 4).run(parts: 16) { _ in
      let got = try? value.get(monitor: .none) {
        usleep(20_000)
        made.wrappingAdd(1, ordering: .relaxed)
        return 5
      }
      sum.wrappingAdd(got ?? 0, ordering: .relaxed)
    }
    #expect(made.load(ordering: .relaxed) == 1 && sum.load(ordering: .relaxed) == 80 && value.value == 5)
  }

  @Test func whoWaitsForAnothersMakingMayBeCancelled() throws {
    let value = OnDemand<Int>()
    let token = try CancelToken.make()
    defer { token.release() }
    token.cancel()
    let begun = Flag()
    let open = Flag()
    let task = try BackgroundTask(abandoned: Flag()) { () throws(BoneSoupError) in
      try value.get(monitor: .none) {
        begun.raise()
        while !open.isRaised { usleep(1000) }
        return 1
      }
    }
    while !begun.isRaised { usleep(1000) }
    #expect(throws: BoneSoupError.cancelled) {
      try value.get(monitor: Monitor(token: token, progress: nil)) { 2 }
    }
    open.raise()
    #expect(try task.wait(milliseconds: nil)?.get() == 1 && value.value == 1)
  }
}
