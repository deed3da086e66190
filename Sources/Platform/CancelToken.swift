import Glibc
import Synchronization

/// A flag that any thread or a signal handler can raise, and that long work looks at.
///
/// The flags live in one block of memory that is never freed, so that raising one needs no lock and no check that the
/// token still exists. A slot holds the value of the token that owns it, and that value with the top bit set once it
/// was cancelled: a stale token's value is nobody's, so its exchange fails.
public struct CancelToken: Sendable, Equatable {
  /// Slot number in the low 16 bits, a serial number above, the top bit clear; never 0.
  public let value: UInt64

  public init(value: UInt64) { self.value = value }

  private static let capacity = 1 << 16
  private static let raised: UInt64 = 1 << 63

  private struct Slots: @unchecked Sendable {
    let owner: UnsafeMutablePointer<Atomic<UInt64>>?
  }

  private struct Free: Sendable {
    var next = 1
    var serial: UInt64 = 0
    var returned: [UInt64] = []
  }

  /// Zero-filled pages, touched only where used.
  private static let slots: Slots = {
    let bytes = capacity * MemoryLayout<Atomic<UInt64>>.stride
    let pages = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let pages, pages != MAP_FAILED else { return Slots(owner: nil) }
    return Slots(owner: pages.bindMemory(to: Atomic<UInt64>.self, capacity: capacity))
  }()

  private static let free = Locked(Free())

  private var slot: UnsafeMutablePointer<Atomic<UInt64>>? { Self.slots.owner.map { $0 + Int(value & 0xFFFF) } }

  /// A new token. At most 65,535 live at once.
  public static func make() throws(BoneSoupError) -> CancelToken {
    guard let owner = slots.owner else { throw .outOfMemory("the cancel tokens' memory could not be mapped") }
    let value: UInt64? = free.withLock { free in
      let index: UInt64
      if let last = free.returned.popLast() {
        index = last
      } else if free.next < capacity {
        index = UInt64(free.next)
        free.next += 1
      } else {
        return nil
      }
      free.serial = (free.serial + 1) & (1 << 47 - 1)
      return free.serial << 16 | index
    }
    guard let value else { throw .outOfMemory("65535 cancel tokens are alive; free those no longer needed") }
    owner[Int(value & 0xFFFF)].store(value, ordering: .releasing)
    return CancelToken(value: value)
  }

  /// Gives the slot back; nothing happens for a token that was released before.
  public func release() {
    guard let slot else { return }
    for owner in [value, value | Self.raised]
    where slot.pointee.compareExchange(expected: owner, desired: 0, ordering: .acquiringAndReleasing).exchanged {
      Self.free.withLock { $0.returned.append(value & 0xFFFF) }
      return
    }
  }

  /// Lock-free and allocation-free.
  public func cancel() {
    _ = slot?.pointee.compareExchange(
      expected: value, desired: value | Self.raised, ordering: .acquiringAndReleasing)
  }

  /// Whether the token was made and not yet released.
  public var isAlive: Bool {
    guard value != 0, value & Self.raised == 0, let slot else { return false }
    return slot.pointee.load(ordering: .acquiring) & ~Self.raised == value
  }

  public var isCancelled: Bool {
    slot?.pointee.load(ordering: .acquiring) == value | Self.raised
  }
}
