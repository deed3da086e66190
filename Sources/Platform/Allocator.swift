import Glibc
import Synchronization

/// Where large memory comes from: the system or the host's own functions, counted against a budget.
///
/// Thread-safe. Every `Buffer` keeps its allocator alive.
public final class Allocator: Sendable {
  /// The host's `allocate(bytes, alignment, context)` and `free(pointer, bytes, context)`.
  public struct Host: @unchecked Sendable {
    public typealias Allocate = @convention(c) (Int, Int, UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
    public typealias Free = @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeMutableRawPointer?) -> Void
    let allocate: Allocate
    let free: Free
    let context: UnsafeMutableRawPointer?

    public init(allocate: @escaping Allocate, free: @escaping Free, context: UnsafeMutableRawPointer?) {
      self.allocate = allocate
      self.free = free
      self.context = context
    }
  }

  /// The system's memory without a budget.
  public static let system = Allocator(limit: nil, host: nil)

  /// Bytes that may be in use at once; nil is no limit.
  public let limit: Int?
  private let host: Host?
  private let used = Atomic<Int>(0)
  /// The most bytes that were in use at once.
  private let peak = Atomic<Int>(0)
  private let kept = KeptBlocks()

  public init(limit: Int?, host: Host?) {
    self.limit = limit
    self.host = host
  }

  /// Bytes in use now.
  public var bytesInUse: Int { used.load(ordering: .relaxed) }

  /// Huge pages from this size on: first touch of 4 KiB pages is several times slower.
  private static let hugePage = 2 << 20

  func allocate(_ byteCount: Int, alignment: Int, purpose: () -> String) throws(BoneSoupError)
    -> UnsafeMutableRawPointer
  {
    try book(byteCount, purpose)
    var pointer: UnsafeMutableRawPointer?
    if let host {
      pointer = host.allocate(byteCount, alignment, host.context)
      if let wrong = pointer, UInt(bitPattern: wrong) % UInt(alignment) != 0 {
        host.free(wrong, byteCount, host.context)
        pointer = nil
      }
    } else {
      pointer = byteCount >= Self.hugePage ? huge(byteCount) : Self.system(byteCount, alignment)
      if pointer == nil {
        kept.release()
        pointer = Self.system(byteCount, byteCount >= Self.hugePage ? Self.hugePage : alignment)
      }
    }
    guard let pointer else {
      used.wrappingSubtract(byteCount, ordering: .relaxed)
      throw .outOfMemory(
        "\(purpose()) needs \(byteCount) bytes and the \(host == nil ? "system" : "host's allocator") refused")
    }
    return pointer
  }

  private func huge(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    if let block = kept.take(byteCount) { return block }
    // Kept and used blocks together are never more than was in use at once.
    if kept.byteCount + bytesInUse > peak.load(ordering: .relaxed) { kept.release() }
    guard let block = Self.system(byteCount, Self.hugePage) else { return nil }
    madvise(block, byteCount, 14 /* MADV_HUGEPAGE */)
    return block
  }

  private static func system(_ byteCount: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
    var pointer: UnsafeMutableRawPointer?
    return posix_memalign(&pointer, alignment, byteCount) == 0 ? pointer : nil
  }

  /// Whether this much can be taken and as much again be left.
  public func hasAmpleRoom(_ byteCount: Int) -> Bool { limit.map { byteCount <= ($0 - bytesInUse) / 2 } ?? true }

  /// Counts the bytes, unless they are more than is left: what is refused is never counted, so that it takes nothing from
  /// other threads.
  private func book(_ byteCount: Int, _ purpose: () -> String) throws(BoneSoupError) {
    guard let limit else {
      peak.max(used.wrappingAdd(byteCount, ordering: .relaxed).newValue, ordering: .relaxed)
      return
    }
    var before = used.load(ordering: .relaxed)
    while byteCount <= limit - min(before, limit) {
      let (booked, now) = used.weakCompareExchange(
        expected: before, desired: before + byteCount, ordering: .relaxed)
      if booked {
        peak.max(before + byteCount, ordering: .relaxed)
        return
      }
      before = now
    }
    throw .outOfMemory(
      "\(purpose()) needs \(byteCount) bytes, but \(before) of the engine's budget of \(limit) are in use; "
        + "raise memory_budget or free what is no longer needed")
  }

  func free(_ pointer: UnsafeMutableRawPointer, _ byteCount: Int) {
    let rest = used.wrappingSubtract(byteCount, ordering: .relaxed).newValue
    if let host { return host.free(pointer, byteCount, host.context) }
    if byteCount >= Self.hugePage, kept.keep(pointer, byteCount, limit: peak.load(ordering: .relaxed) - rest) { return }
    Glibc.free(pointer)
  }
}
