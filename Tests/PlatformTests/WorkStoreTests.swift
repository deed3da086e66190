import Platform
import Synchronization
import Testing

@Suite struct WorkStoreTests {
  private final class Space {
    static let alive = Atomic<Int>(0)
    init() { Space.alive.wrappingAdd(1, ordering: .relaxed) }
    deinit { Space.alive.wrappingSubtract(1, ordering: .relaxed) }
  }

  private final class Other {}

  @Test func aSpaceIsUsedAgainAndOnlyAFewAreKept() {
    do {
      let store = WorkStore()
      let first = store.lend({ Space() }) { ObjectIdentifier($0) }
      #expect(store.lend({ Space() }) { ObjectIdentifier($0) } == first)
      #expect(Space.alive.load(ordering: .relaxed) == 1)
      store.lend({ Other() }) { _ in
        // Of a kind of its own.
        #expect(store.lend({ Space() }) { ObjectIdentifier($0) } == first)
      }
      func nest(_ depth: Int) {
        guard depth > 0 else { return }
        store.lend({ Space() }) { _ in nest(depth - 1) }
      }
      nest(WorkStore.limit + 5)
      #expect(Space.alive.load(ordering: .relaxed) == WorkStore.limit)
    }
    #expect(Space.alive.load(ordering: .relaxed) == 0)
  }
}
