import Platform
import Testing

@Suite struct BufferTests {
  @Test func budgetIsCheckedBeforeItIsSpentAndReturned() throws {
    let allocator = Allocator(limit: 1000, host: nil)
    do {
      let buffer = try Buffer(byteCount: 600, allocator: allocator, purpose: "the first")
      #expect(allocator.bytesInUse == 600)
      #expect(throws: BoneSoupError.self) { try Buffer(byteCount: 600, allocator: allocator, purpose: "the second") }
      #expect(Int(bitPattern: buffer.pointer) % 64 == 0)
    }
    #expect(allocator.bytesInUse == 0)
  }

  @Test func aRefusedRequestTakesNothingFromOthers() throws {
    let allocator = Allocator(limit: 1 << 20, host: nil)
    let over = Flag()
    let greedy = try BackgroundTask(abandoned: over) { () throws(BoneSoupError) in
      var granted = 0
      while !over.isRaised {
        let all = try? Buffer(byteCount: (1 << 20) + 1, allocator: allocator, purpose: "all")
        if all != nil { granted += 1 }
      }
      return granted
    }
    for _ in 0..<20_000 { _ = try Buffer(byteCount: 1 << 19, allocator: allocator, purpose: "half") }
    over.raise()
    #expect(try greedy.wait(milliseconds: nil)?.get() == 0)
    #expect(allocator.bytesInUse == 0)
  }

  @Test func sizeThatOverflowsIsAnError() {
    #expect(throws: BoneSoupError.self) {
      try Buffer(of: Int64.self, count: Int.max / 4, allocator: .system, purpose: "it")
    }
  }

  @Test func vectorGrowsAndKeepsItsElements() throws {
    var vector = try Vector<Int32>(capacity: 1, allocator: .system, purpose: "numbers")
    for index in 0..<1000 { try vector.append(Int32(index)) }
    #expect(vector.span.elementsEqual((0..<1000).map(Int32.init)))
  }

  @Test func vectorTakesNoRoomPastItsLimitBeforeItIsNeeded() throws {
    var vector = try Vector<Int32>(limit: 100, allocator: .system, purpose: "numbers")
    for index in 0..<100 { try vector.append(Int32(index)) }
    #expect(vector.capacity == 100)
    try vector.append(100)
    #expect(vector.count == 101 && vector.span.elementsEqual((0..<101).map(Int32.init)))
    #expect(try Vector<Int32>(limit: 3, allocator: .system, purpose: "numbers").capacity == 3)
  }

  @Test func vectorAppendsItself() throws {
    var vector = try Vector<Int32>(capacity: 3, allocator: .system, purpose: "numbers")
    for index in 0..<3 { try vector.append(Int32(index)) }
    for _ in 0..<10 { try vector.append(contentsOf: vector.span) }
    #expect(vector.span.enumerated().allSatisfy { $1 == Int32($0 % 3) })
  }
}
