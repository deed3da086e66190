import Glibc
import Synchronization

/// A flag that any thread or a signal handler can raise, and that long work looks at.
///
/// The flags live in one block of memory that is never freed, so that raising one needs no lock and no check that the
/// token still exists: a slot holds the serial number of the token that was cancelled in it, and a stale token's number
/// is nobody's.
public struct CancelToken: Sendable, Equatable {
  /// Index in the low 16 bits, serial number above; never 0.
  public let value: UInt64

  public init(value: UInt64) { self.value = value }

  private static let capacity = 1 << 16

  private struct Slots: @unchecked Sendable {
    let cancelled: UnsafeMutablePointer<Atomic<UInt64>>?
  }

  private struct Free: Sendable {
    var next = 1
    var serial: UInt64 = 1
    var returned: [UInt64] = []
  }

  /// Zero-filled pages, touched only where used.
  private static let slots: Slots = {
    let bytes = capacity * MemoryLayout<Atomic<UInt64>>.stride
    let pages = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let pages, pages != MAP_FAILED else { return Slots(cancelled: nil) }
    return Slots(cancelled: pages.bindMemory(to: Atomic<UInt64>.self, capacity: capacity))
  }()

  private static let free = Mutex(Free())

  /// A new token. At most 65,535 live at once.
  public static func make() throws(BoneSoupError) -> CancelToken {
    guard slots.cancelled != nil else { throw .outOfMemory("the cancel tokens' memory could not be mapped") }
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
      free.serial &+= 1
      return free.serial << 16 | index
    }
    guard let value else { throw .outOfMemory("65535 cancel tokens are alive; free those no longer needed") }
    return CancelToken(value: value)
  }

  /// Gives the slot back. The token must not be used by running work any more.
  public func release() {
    Self.free.withLock { $0.returned.append(value & 0xFFFF) }
  }

  /// Lock-free and allocation-free once any token was made.
  public func cancel() {
    Self.slots.cancelled?[Int(value & 0xFFFF)].store(value, ordering: .releasing)
  }

  public var isCancelled: Bool {
    Self.slots.cancelled?[Int(value & 0xFFFF)].load(ordering: .acquiring) == value
  }
}
