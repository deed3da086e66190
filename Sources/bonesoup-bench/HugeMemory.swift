import Glibc

/// Memory of its own in huge pages, where the system has them.
final class HugeMemory: @unchecked Sendable {
  let start: UnsafeMutableRawPointer
  let byteCount: Int

  /// Nil where there is none.
  init?(byteCount: Int) {
    guard
      let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED
    else { return nil }
    madvise(start, byteCount, 14)  // MADV_HUGEPAGE
    self.start = start
    self.byteCount = byteCount
  }

  /// Writes every page, each differently: pages that are the same may be shared, and would then lie in a cache.
  func fill() {
    for offset in stride(from: 0, to: byteCount & ~7, by: 8) {
      start.storeBytes(of: UInt64(truncatingIfNeeded: offset), toByteOffset: offset, as: UInt64.self)
    }
  }

  /// Writes the same byte everywhere: numbers that are neither huge nor tiny.
  func fill(with byte: UInt8) { memset(start, Int32(byte), byteCount) }

  deinit { munmap(start, byteCount) }
}
