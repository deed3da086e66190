import CIntrinsics
import Glibc
import Synchronization

/// What the threads of one pool share: the run that is going on, and the places where they wait.
///
/// A run is published behind a gate: its caller opens the gate, works along until no part is left, closes it, and waits
/// for those who are inside. A thread that wakes up late finds the gate closed and waits again, so that no run waits for
/// sleepers.
final class ThreadCrew: @unchecked Sendable {
  private struct Job {
    let body: (Int) -> Void
    let parts: Int
  }

  private struct CacheLine<Value: AtomicRepresentable>: ~Copyable {
    let atomic: Atomic<Value>
    private let padding = (0, 0, 0, 0, 0, 0, 0, 0)

    init(_ value: consuming Value) { atomic = Atomic(value) }
  }

  /// Somebody's run is going on.
  private let busy = Atomic<Bool>(false)
  private let stopped = Atomic<Bool>(false)
  /// How many threads sleep on `wake`.
  private let sleepers = Atomic<UInt32>(0)
  /// Counts the runs; a change of it wakes idle threads.
  private let signal = CacheLine<UInt32>(0)
  /// Bit 31: open. Bit 30: the caller sleeps on `done`. Below: threads inside.
  private let gate = CacheLine<UInt32>(0)
  /// The first part that nobody has taken.
  private let next = CacheLine<Int>(0)
  /// On the caller's stack; written by the owner of `busy` before the gate opens, read by those inside.
  private var job: UnsafePointer<Job>?

  private let spinNanoseconds: Int
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  private static let open: UInt32 = 1 << 31
  private static let waiting: UInt32 = 1 << 30
  private static let inside: UInt32 = waiting - 1

  init(spinMicroseconds: Int) {
    spinNanoseconds = max(0, min(spinMicroseconds, 1_000_000)) * 1000
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wake, nil)
    pthread_cond_init(done, nil)
  }

  deinit {
    pthread_cond_destroy(done)
    pthread_cond_destroy(wake)
    pthread_mutex_destroy(mutex)
    done.deallocate()
    wake.deallocate()
    mutex.deallocate()
  }

  /// False, and nothing done, where another run is going on.
  func run(parts: Int, _ body: (Int) -> Void) -> Bool {
    guard busy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else { return false }
    withoutActuallyEscaping(body) { body in
      withUnsafePointer(to: Job(body: body, parts: parts)) { job in
        self.job = job
        next.atomic.store(0, ordering: .relaxed)
        gate.atomic.bitwiseOr(Self.open, ordering: .releasing)
        wakeAll()
        work(on: job)
        gate.atomic.bitwiseAnd(~Self.open, ordering: .acquiringAndReleasing)
        waitUntilNobodyIsInside()
      }
    }
    busy.store(false, ordering: .releasing)
    return true
  }

  /// Makes every thread of the pool return.
  func dismiss() {
    stopped.store(true, ordering: .releasing)
    wakeAll()
  }

  /// The life of a pool's thread.
  private func serve() {
    var seen: UInt32 = 0
    while true {
      seen = waitForSignal(otherThan: seen)
      if stopped.load(ordering: .acquiring) { return }
      if gate.atomic.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue & Self.open != 0, let job {
        work(on: job)
      }
      let before = gate.atomic.wrappingSubtract(1, ordering: .acquiringAndReleasing).oldValue
      if before & Self.waiting != 0, before & Self.inside == 1 {
        pthread_mutex_lock(mutex)
        pthread_cond_signal(done)
        pthread_mutex_unlock(mutex)
      }
    }
  }

  /// Not inlined: no reference to the body outlives the call.
  @inline(never) private func work(on job: UnsafePointer<Job>) {
    let body = job.pointee.body
    let parts = job.pointee.parts
    while true {
      let part = next.atomic.wrappingAdd(1, ordering: .relaxed).oldValue
      guard part < parts else { return }
      body(part)
    }
  }

  private func wakeAll() {
    signal.atomic.wrappingAdd(1, ordering: .sequentiallyConsistent)
    // Either this sees the sleeper, or the sleeper, which counts itself first, sees the signal.
    guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
    pthread_mutex_lock(mutex)
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(mutex)
  }

  private func waitForSignal(otherThan seen: UInt32) -> UInt32 {
    if spin(until: { signal.atomic.load(ordering: .acquiring) != seen }) {
      return signal.atomic.load(ordering: .acquiring)
    }
    pthread_mutex_lock(mutex)
    sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
    var now = signal.atomic.load(ordering: .sequentiallyConsistent)
    while now == seen {
      pthread_cond_wait(wake, mutex)
      now = signal.atomic.load(ordering: .sequentiallyConsistent)
    }
    sleepers.wrappingSubtract(1, ordering: .relaxed)
    pthread_mutex_unlock(mutex)
    return now
  }

  private func waitUntilNobodyIsInside() {
    if spin(until: { gate.atomic.load(ordering: .acquiring) & Self.inside == 0 }) { return }
    gate.atomic.bitwiseOr(Self.waiting, ordering: .acquiringAndReleasing)
    pthread_mutex_lock(mutex)
    // A body that forked: in the child nobody will leave.
    while gate.atomic.load(ordering: .acquiring) & Self.inside != 0, !ForkGuard.isForkedChild {
      pthread_cond_wait(done, mutex)
    }
    pthread_mutex_unlock(mutex)
    gate.atomic.bitwiseAnd(~Self.waiting, ordering: .relaxed)
  }

  /// True as soon as `condition` holds, false where it did not for the spinning time.
  ///
  /// Yields after the first moments: where threads outnumber CPUs, the one waited for may need this one's.
  @inline(__always) private func spin(until condition: () -> Bool) -> Bool {
    var start = 0
    while true {
      for _ in 0..<16 {
        if condition() { return true }
        bsp_pause()
      }
      let now = Self.nanoseconds()
      if start == 0 { start = now } else { sched_yield() }
      if now &- start >= spinNanoseconds { return false }
    }
  }

  private static func nanoseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int(time.tv_sec) &* 1_000_000_000 &+ Int(time.tv_nsec)
  }

  /// One thread to be.
  final class Member {
    private let crew: ThreadCrew
    private let cpu: Int?

    init(crew: ThreadCrew, cpu: Int?) {
      self.crew = crew
      self.cpu = cpu
    }

    /// Nil where the system refuses.
    func start() -> pthread_t? {
      let member = Unmanaged.passRetained(self)
      var thread = pthread_t()
      let failure = SystemThread.create(&thread, member.toOpaque()) { context in
        guard let context else { return nil }
        Unmanaged<Member>.fromOpaque(context).takeRetainedValue().live()
        return nil
      }
      guard failure == 0 else {
        member.release()
        return nil
      }
      return thread
    }

    private func live() {
      SystemThread.begin()
      if let cpu { ProcessorSet.pin(to: cpu) }
      crew.serve()
    }
  }
}
