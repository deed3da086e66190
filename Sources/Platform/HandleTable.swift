/// Gives objects numbers that a host can hold as opaque pointers: never dereferenced, so that any bits are safe.
///
/// A handle is 29 bits of generation, 24 of index, 8 of kind, and three zero bits. The generation counts what the slot
/// has held and starts at 1, so no handle is null, and a freed one stays invalid: a slot whose generations are used up
/// is never used again.
///
/// Thread-safe. An object is retained while the table holds it, and by whoever gets it. In a forked child the lock may
/// be held for ever: look at `ForkGuard.isForkedChild` first.
public final class HandleTable: @unchecked Sendable {
  /// The one that the process's handles come from.
  public static let shared = HandleTable()

  private struct Slot: BitwiseCopyable {
    /// A retained object; nil in a free slot.
    var object: UnsafeMutableRawPointer?
    var generation: UInt32
    /// In a free slot the next free one, or `none`.
    var nextFree: UInt32
    var kind: UInt8
  }

  private static let indexBits: UInt = 24
  private static let indexShift: UInt = 11
  private static let kindShift: UInt = 3
  private static let generationShift = indexShift + indexBits
  private static let none = UInt32.max

  private let lock = Lock()
  private let lastGeneration: UInt32
  private let allocator: Allocator
  private var slots: Buffer?
  private var capacity = 0
  private var used = 0
  private var firstFree = HandleTable.none

  /// - Parameter generations: objects that one slot can hold in turn, at most 2^29 − 1.
  public init(generations: UInt32 = 1 << 29 - 1, allocator: Allocator = .system) {
    lastGeneration = max(1, min(generations, 1 << 29 - 1))
    self.allocator = allocator
  }

  deinit {
    guard let slots = slots?.elements(Slot.self) else { return }
    for index in 0..<used {
      if let object = slots[index].object { Unmanaged<AnyObject>.fromOpaque(object).release() }
    }
  }

  /// Takes a reference to `object`, until `remove`. At most 2^24 objects at once.
  public func insert(_ object: AnyObject, kind: UInt8) throws(BoneSoupError) -> UInt {
    try lock.withLock { () throws(BoneSoupError) -> UInt in
      let index = try takeSlot()
      let slot = index.slot
      slot.pointee.object = Unmanaged.passRetained(object).toOpaque()
      slot.pointee.kind = kind
      return UInt(slot.pointee.generation) << Self.generationShift | index.number << Self.indexShift
        | UInt(kind) << Self.kindShift
    }
  }

  /// The object, retained; nil for what was removed, never given out, or is of another kind.
  public func object(_ handle: UInt, kind: UInt8) -> AnyObject? {
    lock.withLock {
      guard let object = find(handle, kind)?.pointee.object else { return nil }
      return Unmanaged<AnyObject>.fromOpaque(object).takeUnretainedValue()
    }
  }

  /// Ends the handle, and hands over the table's reference; nil as in `object`, and so for a second time.
  public func remove(_ handle: UInt, kind: UInt8) -> AnyObject? {
    lock.withLock {
      guard let slot = find(handle, kind), let object = slot.pointee.object else { return nil }
      slot.pointee.object = nil
      if slot.pointee.generation < lastGeneration {
        slot.pointee.generation += 1
        slot.pointee.nextFree = firstFree
        firstFree = UInt32(truncatingIfNeeded: handle >> Self.indexShift & (1 << Self.indexBits - 1))
      }
      return Unmanaged<AnyObject>.fromOpaque(object).takeRetainedValue()
    }
  }

  private func find(_ handle: UInt, _ kind: UInt8) -> UnsafeMutablePointer<Slot>? {
    let index = Int(bitPattern: handle >> Self.indexShift & (1 << Self.indexBits - 1))
    guard index < used, let slot = slots.map({ $0.elements(Slot.self) + index }) else { return nil }
    let expected =
      UInt(slot.pointee.generation) << (Self.generationShift - Self.indexShift) | UInt(bitPattern: index)
    guard slot.pointee.kind == kind, handle == expected << Self.indexShift | UInt(kind) << Self.kindShift else {
      return nil
    }
    return slot
  }

  private func takeSlot() throws(BoneSoupError) -> (slot: UnsafeMutablePointer<Slot>, number: UInt) {
    if firstFree != Self.none, let slots = slots?.elements(Slot.self) {
      let index = firstFree
      firstFree = slots[Int(index)].nextFree
      return (slots + Int(index), UInt(index))
    }
    guard used < 1 << Self.indexBits else {
      throw .outOfMemory("\(used) handles were given out; free those no longer needed")
    }
    if used == capacity { try grow() }
    guard let slots = slots?.elements(Slot.self) else { throw .internalFault("the handle table has no memory") }
    let slot = slots + used
    slot.initialize(to: Slot(object: nil, generation: 1, nextFree: Self.none, kind: 0))
    used += 1
    return (slot, UInt(bitPattern: used - 1))
  }

  private func grow() throws(BoneSoupError) {
    let larger = max(256, capacity * 2)
    let next = try Buffer(of: Slot.self, count: larger, allocator: allocator, purpose: "the handle table")
    if let slots { next.elements(Slot.self).update(from: slots.elements(Slot.self), count: used) }
    slots = next
    capacity = larger
  }
}
