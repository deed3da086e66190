import Glibc

/// Large blocks that were given back, kept for the next request of their size: memory that is new to the process is
/// cleared by the system first, which takes longer than a fold that fills it.
///
/// The system may take the pages back whenever it needs them (MADV_FREE). Kept are no more bytes than `limit`.
final class KeptBlocks: @unchecked Sendable {
  private let lock = Lock()
  private var blocks: [Int: [UnsafeMutableRawPointer]] = [:]
  private var kept = 0

  var byteCount: Int { lock.withLock { kept } }

  /// A block of exactly this size, or nil. Its contents are arbitrary.
  func take(_ size: Int) -> UnsafeMutableRawPointer? {
    lock.withLock {
      guard let block = blocks[size]?.popLast() else { return nil }
      if blocks[size]?.isEmpty ?? false { blocks[size] = nil }
      kept -= size
      return block
    }
  }

  /// Whether the block is kept; else it is the caller's to free.
  func keep(_ block: UnsafeMutableRawPointer, _ size: Int, limit: Int) -> Bool {
    lock.withLock {
      guard kept + size <= limit else { return false }
      blocks[size, default: []].append(block)
      kept += size
      // Whole pages: the rest of the last one may belong to somebody else.
      madvise(block, size & ~0xffff, 8 /* MADV_FREE */)
      return true
    }
  }

  /// Gives all back to the system.
  func release() {
    lock.withLock {
      for list in blocks.values { for block in list { free(block) } }
      blocks = [:]
      kept = 0
    }
  }

  deinit { release() }
}
