import Glibc
import Platform
import Synchronization
import Testing

@Suite struct ThreadPoolTests {
  /// How often each part was run.
  private final class Tally: @unchecked Sendable {
    let counts: UnsafeMutablePointer<Atomic<Int>>
    let parts: Int

    init(parts: Int) {
      self.parts = parts
      counts = .allocate(capacity: parts)
      for part in 0..<parts { (counts + part).initialize(to: Atomic(0)) }
    }

    deinit { counts.deallocate() }

    func count(_ part: Int) { counts[part].wrappingAdd(1, ordering: .relaxed) }
    func isEverywhere(_ wanted: Int) -> Bool {
      (0..<parts).allSatisfy { counts[$0].load(ordering: .relaxed) == wanted }
    }
  }

  private static func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Start {
      let body: @Sendable (Int) -> Void
      let index: Int
      init(_ body: @escaping @Sendable (Int) -> Void, _ index: Int) {
        self.body = body
        self.index = index
      }
    }
    var threads: [pthread_t] = []
    for index in 0..<count {
      var thread = pthread_t()
      let start = Unmanaged.passRetained(Start(body, index))
      let failure = pthread_create(
        &thread, nil,
        { context in
          guard let context else { return nil }
          let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
          start.body(start.index)
          return nil
        }, start.toOpaque())
      #expect(failure == 0)
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
  }

  @Test(arguments: 1...8) func everyPartRunsOnce(threads: Int) {
    let pool = ThreadPool(threadCount: threads)
    #expect(pool.threadCount == threads)
    for parts in [0, 1, 2, 3, 7, 64, 1000] {
      let tally = Tally(parts: max(parts, 1))
      pool.run(parts: parts) { tally.count($0) }
      #expect(tally.isEverywhere(parts == 0 ? 0 : 1))
    }
    pool.run(parts: -1) { _ in Issue.record("there is no part") }
    pool.run(parts: Int.min) { _ in Issue.record("there is no part") }
  }

  @Test func absurdThreadCountsAreBounded() {
    #expect(ThreadPool(threadCount: 0).threadCount == 1)
    #expect(ThreadPool(threadCount: Int.min).threadCount == 1)
    #expect(ThreadPool(threadCount: 2, spinMicroseconds: Int.min, cpus: [Int.min, Int.max]).threadCount == 2)
    #expect(ProcessorSet.count >= 1)
  }

  @Test func plainWritesOfBodiesAreVisibleAfterwards() {
    let pool = ThreadPool(threadCount: 4)
    let values = UnsafeMutablePointer<Int>.allocate(capacity: 100)
    defer { values.deallocate() }
    nonisolated(unsafe) let shared = values
    for round in 0..<2000 {
      pool.run(parts: 100) { shared[$0] = round &* $0 }
      #expect((0..<100).allSatisfy { values[$0] == round &* $0 })
    }
  }

  @Test func manyTinyRunsFollowEachOther() {
    let pool = ThreadPool(threadCount: 2)
    let total = Atomic<Int>(0)
    for _ in 0..<100_000 { pool.run(parts: 2) { total.wrappingAdd($0 + 1, ordering: .relaxed) } }
    #expect(total.load(ordering: .relaxed) == 300_000)
  }

  @Test func runsAfterTheThreadsFellAsleep() {
    let pool = ThreadPool(threadCount: 3, spinMicroseconds: 0)
    let tally = Tally(parts: 16)
    for _ in 0..<200 {
      usleep(100)
      pool.run(parts: 16) { tally.count($0) }
    }
    #expect(tally.isEverywhere(200))
  }

  @Test func callerSleepsUntilSlowPartsEnd() {
    let pool = ThreadPool(threadCount: 4, spinMicroseconds: 1)
    let tally = Tally(parts: 4)
    for _ in 0..<20 {
      pool.run(parts: 4) { part in
        usleep(UInt32(1000 * (part + 1)))
        tally.count(part)
      }
    }
    #expect(tally.isEverywhere(20))
  }

  @Test func callersOnManyThreadsShareThePool() {
    let pool = ThreadPool(threadCount: 3, spinMicroseconds: 5)
    let tally = Tally(parts: 50)
    Self.onThreads(6) { _ in
      for _ in 0..<300 { pool.run(parts: 50) { tally.count($0) } }
    }
    #expect(tally.isEverywhere(6 * 300))
  }

  @Test func bodyMayRunThePoolAgain() {
    let pool = ThreadPool(threadCount: 4)
    let tally = Tally(parts: 64)
    for _ in 0..<50 {
      pool.run(parts: 8) { outer in
        pool.run(parts: 8) { inner in tally.count(outer * 8 + inner) }
      }
    }
    #expect(tally.isEverywhere(50))
  }

  @Test func poolsComeAndGo() {
    let tally = Tally(parts: 8)
    for _ in 0..<100 {
      let pool = ThreadPool(threadCount: 4, cpus: [0])
      pool.run(parts: 8) { tally.count($0) }
    }
    #expect(tally.isEverywhere(100))
  }

  @Test func threadsBlockSignalsHaveANameAndDefaultRounding() {
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &before)
    let pool = ThreadPool(threadCount: 4)
    let caller = pthread_self()
    let wrong = Atomic<Int>(0)
    pool.run(parts: 4) { _ in
      usleep(2000)
      guard pthread_equal(pthread_self(), caller) == 0 else { return }
      var mask = sigset_t()
      pthread_sigmask(SIG_BLOCK, nil, &mask)
      if sigismember(&mask, SIGTERM) != 1 || sigismember(&mask, SIGALRM) != 1 || fegetround() != FE_TONEAREST {
        wrong.wrappingAdd(1, ordering: .relaxed)
      }
      var name = [CChar](repeating: 0, count: 16)
      pthread_getname(&name)
      if name.prefix(9).map({ UInt8(bitPattern: $0) }) != Array("bonesoup\0".utf8) {
        wrong.wrappingAdd(1, ordering: .relaxed)
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    var mask = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &mask)
    #expect((1..<64).allSatisfy { sigismember(&mask, $0) == sigismember(&before, $0) })
  }

  @Test func idlePoolUsesNoProcessorTime() {
    let pool = ThreadPool(threadCount: 4)
    let clocks = UnsafeMutablePointer<clockid_t>.allocate(capacity: 4)
    defer { clocks.deallocate() }
    nonisolated(unsafe) let shared = clocks
    // Long enough that every thread takes one part.
    pool.run(parts: 4) { part in
      usleep(50_000)
      pthread_getcpuclockid(pthread_self(), shared + part)
    }
    func spentByOthers() -> Int {
      var own = clockid_t()
      pthread_getcpuclockid(pthread_self(), &own)
      return (0..<4).reduce(0) { sum, part in
        var time = timespec()
        guard clocks[part] != own, clock_gettime(clocks[part], &time) == 0 else { return sum }
        return sum + Int(time.tv_sec) * 1_000_000 + Int(time.tv_nsec) / 1000
      }
    }
    usleep(20_000)
    let before = spentByOthers()
    usleep(200_000)
    #expect(spentByOthers() - before < 5000)
  }

  @Test func forkedChildWorksAlone() throws {
    let pool = ThreadPool(threadCount: 4)
    let parent = Tally(parts: 10)
    pool.run(parts: 10) { parent.count($0) }
    #expect(parent.isEverywhere(1))
    typealias Fork = @convention(c) () -> Int32
    let symbol = try #require(dlsym(nil, "fork"))
    let child = unsafeBitCast(symbol, to: Fork.self)()
    if child == 0 {
      pool.run(parts: 10) { parent.count($0) }
      _exit(ForkGuard.isForkedChild && parent.isEverywhere(2) ? 0 : 1)
    }
    try #require(child > 0)
    var status: Int32 = -1
    #expect(waitpid(child, &status, 0) == child)
    #expect(status == 0)
    #expect(!ForkGuard.isForkedChild)
  }
}

/// prctl's PR_GET_NAME without its varargs.
private func pthread_getname(_ name: inout [CChar]) {
  typealias GetName = @convention(c) (pthread_t, UnsafeMutablePointer<CChar>, Int) -> Int32
  guard let symbol = dlsym(nil, "pthread_getname_np") else { return }
  _ = unsafeBitCast(symbol, to: GetName.self)(pthread_self(), &name, name.count)
}
