import Glibc
import Synchronization

/// A flag that is raised once and stays so.
public final class Flag: Sendable {
  private let raised = Atomic<Bool>(false)

  public init() {}

  public func raise() { raised.store(true, ordering: .releasing) }
  public var isRaised: Bool { raised.load(ordering: .acquiring) }
}

/// Work on a thread of its own, with a result that any number of threads may wait for.
///
/// Letting go of the task stops the work: `deinit` raises `abandoned`, which the work's monitor looks at, and waits for
/// the thread to end (unless it is that very thread, called back by the host).
public final class BackgroundTask<Value: Sendable>: @unchecked Sendable {
  /// What the thread and those who wait share; lives as long as either.
  private final class Shared: @unchecked Sendable {
    private let condition = Condition()
    private var result: Result<Value, BoneSoupError>?

    func finish(_ value: Result<Value, BoneSoupError>) {
      condition.withLock {
        result = value
        condition.wakeAll()
      }
    }

    func wait(milliseconds: UInt32?) -> Result<Value, BoneSoupError>? {
      condition.withLock {
        condition.wait(milliseconds: milliseconds) { result != nil }
        return result
      }
    }
  }

  private let shared = Shared()
  private let abandoned: Flag
  private let thread: pthread_t

  /// Starts the thread. Throws where the system has none.
  ///
  /// - Parameters:
  ///   - abandoned: raised when the task is let go; the body must look at it every 50 ms.
  ///   - cpu: the thread is pinned to it; nil: to none.
  public init(
    abandoned: Flag, cpu: Int? = nil, _ body: @escaping @Sendable () throws(BoneSoupError) -> Value
  ) throws(BoneSoupError) {
    self.abandoned = abandoned
    let shared = shared
    thread = try SystemThread.start {
      if let cpu { ProcessorSet.pin(to: cpu) }
      do throws(BoneSoupError) {
        shared.finish(.success(try body()))
      } catch {
        shared.finish(.failure(error))
      }
    }
  }

  deinit {
    abandoned.raise()
    if pthread_equal(thread, pthread_self()) != 0 { pthread_detach(thread) } else { pthread_join(thread, nil) }
  }

  /// The result, nil where it is not there within `milliseconds` (nil: for ever).
  ///
  /// The work itself, called back by its host, does not wait for its own end.
  public func wait(milliseconds: UInt32?) -> Result<Value, BoneSoupError>? {
    shared.wait(milliseconds: pthread_equal(thread, pthread_self()) != 0 ? 0 : milliseconds)
  }
}
