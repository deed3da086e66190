import Glibc
import Synchronization

/// Knows whether this process is a forked child of the one that first used the library: there the pools' threads do
/// not exist, and a lock may be held for ever by a thread that is gone.
public enum ForkGuard {
  private static let forked = Atomic<Bool>(false)

  private static let registered: Bool = {
    // The handler finds the flag initialised.
    _ = forked.load(ordering: .relaxed)
    return pthread_atfork(nil, nil, { ForkGuard.forked.store(true, ordering: .relaxed) }) == 0
  }()

  /// Forks are noticed from the first call on; later calls do nothing.
  public static func register() { _ = registered }

  /// True in children (and theirs) forked after `register`; `vfork` and a bare `clone` go unnoticed.
  public static var isForkedChild: Bool { forked.load(ordering: .relaxed) }
}
