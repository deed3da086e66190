import Glibc
import Platform
import Synchronization
import Testing

@Suite struct HandleTableTests {
  private final class Thing: Sendable {
    let number: Int
    let alive: Counter?
    init(_ number: Int, _ alive: Counter? = nil) {
      self.number = number
      self.alive = alive
      alive?.value.wrappingAdd(1, ordering: .relaxed)
    }
    deinit { alive?.value.wrappingSubtract(1, ordering: .relaxed) }
  }

  private final class Counter: Sendable {
    let value = Atomic<Int>(0)
    var now: Int { value.load(ordering: .relaxed) }
  }

  @Test func handleFindsItsObjectUntilRemoved() throws {
    let table = HandleTable()
    let alive = Counter()
    let handle = try table.insert(Thing(7, alive), kind: 3)
    #expect(handle != 0 && handle % 8 == 0)
    #expect((table.object(handle, kind: 3) as? Thing)?.number == 7)
    #expect(table.object(handle, kind: 4) == nil)
    #expect(table.remove(handle, kind: 4) == nil)
    #expect(alive.now == 1)
    var removed = table.remove(handle, kind: 3)
    #expect((removed as? Thing)?.number == 7)
    removed = nil
    #expect(alive.now == 0)
    #expect(table.object(handle, kind: 3) == nil)
    #expect(table.remove(handle, kind: 3) == nil)
  }

  @Test func staleHandleDoesNotFindTheSlotsNextObject() throws {
    let table = HandleTable()
    let first = try table.insert(Thing(1), kind: 1)
    _ = table.remove(first, kind: 1)
    let second = try table.insert(Thing(2), kind: 1)
    #expect(first != second)
    #expect(table.object(first, kind: 1) == nil)
    #expect(table.remove(first, kind: 1) == nil)
    #expect((table.object(second, kind: 1) as? Thing)?.number == 2)
  }

  @Test func slotRetiresWhenItsGenerationsAreUsedUp() throws {
    let table = HandleTable(generations: 3)
    var seen: Set<UInt> = []
    for round in 0..<20 {
      let handle = try table.insert(Thing(round), kind: 255)
      #expect(seen.insert(handle).inserted)
      _ = table.remove(handle, kind: 255)
    }
    #expect(seen.allSatisfy { table.object($0, kind: 255) == nil })
  }

  @Test func forgedHandlesAreRefused() throws {
    let table = HandleTable()
    #expect(table.object(0, kind: 0) == nil)
    #expect(table.object(.max, kind: 255) == nil)
    var handles: [UInt] = []
    for number in 0..<600 { handles.append(try table.insert(Thing(number), kind: UInt8(number % 5))) }
    let valid = Set(handles)
    for handle in handles.prefix(50) {
      for bit in 0..<UInt(64) {
        for kind in UInt8.min...5 where !valid.contains(handle ^ (1 << bit)) {
          #expect(table.object(handle ^ (1 << bit), kind: kind) == nil)
        }
      }
    }
    for number in UInt(1)...100_000 {
      // Weyl's sequence: spread over all bits, the same in every run.
      let forged = number &* 0x9E37_79B9_7F4A_7C15
      if !valid.contains(forged) { #expect(table.remove(forged, kind: UInt8(truncatingIfNeeded: forged >> 3)) == nil) }
    }
    for (number, handle) in handles.enumerated() {
      #expect((table.object(handle, kind: UInt8(number % 5)) as? Thing)?.number == number)
    }
  }

  @Test func refusedMemoryIsAnErrorAndLosesNothing() throws {
    let alive = Counter()
    let table = HandleTable(allocator: Allocator(limit: 256 * 24, host: nil))
    var handles: [UInt] = []
    #expect(throws: BoneSoupError.self) {
      while true { handles.append(try table.insert(Thing(handles.count, alive), kind: 1)) }
    }
    #expect(handles.count == 256 && alive.now == 256)
    #expect((table.object(handles[255], kind: 1) as? Thing)?.number == 255)
  }

  @Test func tableReleasesWhatItHolds() throws {
    let alive = Counter()
    do {
      let table = HandleTable()
      for number in 0..<1000 { _ = try table.insert(Thing(number, alive), kind: 1) }
      #expect(alive.now == 1000)
    }
    #expect(alive.now == 0)
  }

  @Test func manyThreadsInsertFindAndRemove() {
    let table = HandleTable()
    let alive = Counter()
    let wrong = Counter()
    let pool = ThreadPool(threadCount: 4)
    // One handle that all fight over: exactly one removal wins each round.
    for round in 0..<200 {
      guard let contested = try? table.insert(Thing(round, alive), kind: 9) else { return }
      let wins = Counter()
      pool.run(parts: 8) { part in
        for number in 0..<20 {
          guard let own = try? table.insert(Thing(number, alive), kind: UInt8(part)) else { return }
          if (table.object(own, kind: UInt8(part)) as? Thing)?.number != number {
            wrong.value.wrappingAdd(1, ordering: .relaxed)
          }
          _ = table.object(contested, kind: 9)
          if number == 10, table.remove(contested, kind: 9) != nil { wins.value.wrappingAdd(1, ordering: .relaxed) }
          if table.remove(own, kind: UInt8(part)) == nil { wrong.value.wrappingAdd(1, ordering: .relaxed) }
          if table.object(own, kind: UInt8(part)) != nil { wrong.value.wrappingAdd(1, ordering: .relaxed) }
        }
      }
      #expect(wins.now == 1)
    }
    #expect(wrong.now == 0)
    #expect(alive.now == 0)
  }
}
