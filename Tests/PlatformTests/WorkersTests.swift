import Platform
import Synchronization
import Testing

@Suite struct WorkersTests {
  @Test(arguments: [1, 2, 3], [0, 1, 2, 7, 100, 1001])
  func `Tapering runs cover every piece once, in order, and are never shorter than asked for`(threads: Int, count: Int)
  {
    for least in [1, 3, 40] {
      let taken = Locked<[Range<Int>]>([])
      Workers(pool: ThreadPool(threadCount: threads), count: count).runTapering(least: least, monitor: .none) {
        run, slot in
        #expect(slot < threads)
        taken.withLock { $0.append(run) }
      }
      let runs = taken.withLock { $0 }.sorted { $0.lowerBound < $1.lowerBound }
      #expect(runs.flatMap { Array($0) } == Array(0..<count))
      #expect(runs.dropLast().allSatisfy { $0.count >= least })
      #expect(zip(runs, runs.dropFirst()).allSatisfy { $0.count >= $1.count })
    }
  }

  @Test func `A cancel ends tapering runs early`() {
    let unwanted = Flag()
    let pieces = Atomic<Int>(0)
    Workers(pool: ThreadPool(threadCount: 2), count: 1000).runTapering(
      least: 1, monitor: Monitor(token: nil, abandoned: unwanted, progress: nil)
    ) {
      run, _ in
      pieces.wrappingAdd(run.count, ordering: .relaxed)
      unwanted.raise()
    }
    #expect(pieces.load(ordering: .relaxed) < 1000)
  }
}
