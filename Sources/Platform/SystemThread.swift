import CIntrinsics
import Glibc

/// Threads of the library's own: no signal of the host's ever runs on them.
enum SystemThread {
  typealias Body = @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?

  /// As `pthread_create`, with all signals blocked from the first instruction on. Returns its error number.
  static func create(
    _ thread: inout pthread_t, _ context: UnsafeMutableRawPointer, _ body: @escaping Body
  ) -> Int32 {
    // The thread is born with its creator's mask: no signal can reach it in between.
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return pthread_create(&thread, nil, body, context)
  }

  /// The first call on such a thread: it inherited its creator's floating-point control.
  static func begin() {
    _ = bsp_pthread_setname(pthread_self(), "bonesoup")
    bsp_default_floating_point()
  }

  private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// A thread that runs `body`; the caller joins or detaches it.
  static func start(_ body: @escaping @Sendable () -> Void) throws(BoneSoupError) -> pthread_t {
    let work = Unmanaged.passRetained(Work(body))
    var thread = pthread_t()
    let failure = create(&thread, work.toOpaque(), main)
    guard failure == 0 else {
      work.release()
      throw .outOfMemory("the system has no thread for background work (error \(failure))")
    }
    return thread
  }

  private static let main: Body = { context in
    guard let context else { return nil }
    begin()
    Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
    return nil
  }
}
