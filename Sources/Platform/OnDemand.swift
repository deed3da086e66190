/// A value that is made once, by whoever needs it first. Thread-safe.
public final class OnDemand<Value: Sendable>: @unchecked Sendable {
  private enum State {
    case absent, beingMade
    case made(Value)
  }

  private let condition = Condition()
  private var state = State.absent

  /// How often one who waits for another's making looks for a cancel of its own.
  private static var patience: UInt32 { 20 }

  public init() {}

  /// The value, where it was made already.
  public var value: Value? {
    condition.withLock { if case .made(let value) = state { value } else { nil } }
  }

  /// The value; it is made here where it is absent, and waited for where another thread is making it. A failure is its
  /// maker's alone: the next one tries again.
  ///
  /// - Parameters:
  ///   - monitor: looked at while waiting; `make` looks at it by itself.
  ///   - make: must not ask for the same value.
  public func get(
    monitor: Monitor, _ make: () throws(BoneSoupError) -> Value
  ) throws(BoneSoupError) -> Value {
    while true {
      switch take() {
      case .made(let value): return value
      case .beingMade: try monitor.check()
      case .absent:
        do throws(BoneSoupError) {
          let value = try make()
          put(.made(value))
          return value
        } catch {
          put(.absent)
          throw error
        }
      }
    }
  }

  /// What was found; `.absent` makes the caller the maker.
  private func take() -> State {
    condition.withLock {
      condition.wait(milliseconds: Self.patience) { if case .beingMade = state { false } else { true } }
      let found = state
      if case .absent = found { state = .beingMade }
      return found
    }
  }

  private func put(_ next: State) {
    condition.withLock {
      state = next
      condition.wakeAll()
    }
  }
}
