import CIntrinsics

/// Weights to bring nearer while others are computed with: a stretch of memory, which need not be there.
///
/// A panel that a few groups of tokens pass comes from memory for the first of them, which would wait for all of it while
/// the others wait for nothing. So each asks for its part of the next panel.
struct Ahead {
  private(set) var start: UnsafeRawPointer
  private(set) var byteCount: Int

  /// What group `index` of `count` asks for of the panel at `next`.
  @inline(__always)
  init(of next: UnsafeRawPointer, _ panelBytes: Int, group index: Int, of count: Int) {
    // Many groups compute for longer than a panel takes to come, and need the caches for their own.
    self.init(next, count > 4 ? 0 : panelBytes / max(count, 1))
    start += index &* byteCount
  }

  @inline(__always)
  init(_ start: UnsafeRawPointer, _ byteCount: Int) {
    self.start = start
    self.byteCount = byteCount
  }

  /// The first or the second half.
  @inline(__always)
  func half(_ index: Int) -> Ahead { Ahead(start + index &* (byteCount / 2), byteCount / 2) }

  /// Asks for the first bytes, and has the rest left.
  @inline(__always)
  mutating func prefetch(_ count: Int) {
    let end = start + count
    while start < end {
      bsk_prefetch(start)
      start += 64
    }
    start = end
  }
}
