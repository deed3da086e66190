/// Memory whose size a file or a caller decides: checked, counted against the engine's budget, freed with the object.
///
/// Uninitialised when made. Aligned to 64 bytes at least. The bytes live exactly as long as the object: whoever holds
/// a pointer into it also holds the object.
public final class Buffer: @unchecked Sendable {
  public let pointer: UnsafeMutableRawPointer
  public let byteCount: Int
  private let allocator: Allocator

  /// - Parameter purpose: names the thing in an error, as in "the KV cache".
  public init(
    byteCount: Int, allocator: Allocator, purpose: @autoclosure () -> String
  ) throws(BoneSoupError) {
    guard byteCount >= 0 else { throw .invalidArgument("\(purpose()) would need \(byteCount) bytes") }
    pointer = try allocator.allocate(max(byteCount, 1), alignment: 64, purpose: purpose)
    self.byteCount = byteCount
    self.allocator = allocator
  }

  /// Room for `count` elements; fails where the product overflows.
  public convenience init<Element: BitwiseCopyable>(
    of type: Element.Type, count: Int, allocator: Allocator, purpose: @autoclosure () -> String
  ) throws(BoneSoupError) {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    guard !overflow else { throw .outOfMemory("\(purpose()) needs \(count) × \(MemoryLayout<Element>.stride) bytes") }
    try self.init(byteCount: bytes, allocator: allocator, purpose: purpose())
  }

  deinit { allocator.free(pointer, max(byteCount, 1)) }

  /// The start as a pointer to `Element`; the memory is treated as holding that type from here on.
  public func elements<Element: BitwiseCopyable>(_ type: Element.Type = Element.self) -> UnsafeMutablePointer<Element> {
    pointer.assumingMemoryBound(to: type)
  }

  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: pointer, count: byteCount) }
}
