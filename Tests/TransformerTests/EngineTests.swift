import Platform
import Testing
import Transformer

@Suite struct EngineTests {
  @Test func theBackgroundPoolIsOneOfItsOwnLikeTheOther() {
    let engine = Engine(pool: ThreadPool(threadCount: 3, spinMicroseconds: 1, cpus: [0]), allocator: .system)
    let background = engine.backgroundPool
    #expect(background !== engine.pool && background.threadCount == 3 && background.cpus == [0])
    // While one works, the other does.
    engine.pool.run(parts: 3) { part in
      guard part == 0 else { return }
      background.run(parts: 8) { _ in }
    }
    ThreadPool(threadCount: 4).run(parts: 8) { _ in #expect(engine.backgroundPool === background) }
  }
}
