/// Keeps work spaces between uses and lends each to one caller at a time: memory for so many as work at once, and not for
/// every object that ever works.
public final class WorkStore: Sendable {
  /// Idle work spaces of one kind that are kept: no more callers than CPUs get anything done at once.
  public static let limit = max(ProcessorSet.count, 2)

  private let idle = IdleSpaces()

  public init() {}

  /// Lends a work space of the kind that `make` makes; it is made where none is idle.
  ///
  /// The caller leaves it fit for the next, also when `body` throws.
  public func lend<Space: AnyObject, Result, Failure: Error>(
    _ make: () throws(Failure) -> Space, _ body: (Space) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let space = if let kept = idle.take(Space.self) { kept } else { try make() }
    defer { idle.give(space) }
    return try body(space)
  }

  private final class IdleSpaces: @unchecked Sendable {
    private let lock = Lock()
    private var spaces: [ObjectIdentifier: [AnyObject]] = [:]

    func take<Space: AnyObject>(_ kind: Space.Type) -> Space? {
      lock.withLock { spaces[ObjectIdentifier(kind)]?.popLast() as? Space }
    }

    /// One above the limit goes.
    func give<Space: AnyObject>(_ space: Space) {
      lock.withLock {
        if spaces[ObjectIdentifier(Space.self), default: []].count < WorkStore.limit {
          spaces[ObjectIdentifier(Space.self), default: []].append(space)
        }
      }
    }
  }
}
