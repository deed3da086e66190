import Kernels
import Platform

/// Which elements of a tensor are among the k of greatest magnitude, and not among the greatest j: exact, with the lower
/// index first among equals.
struct MagnitudeBand: Sendable {
  /// The k greatest: magnitudes above `bits`, and the first `kept` of the `equal` elements with these bits.
  struct Cut: Sendable {
    var bits: UInt32
    var kept: Int
    var equal: Int

    /// No element, every element.
    static let none = Cut(bits: .max, kept: 0, equal: 0)
    static let all = Cut(bits: 0, kept: 1, equal: 1)

    /// Whether some of the equals are in and some are not.
    var isPartial: Bool { kept > 0 && kept < equal }

    /// The lowest bits that are in, for a block with `count` equals, `before` of which are in blocks before it; nil where
    /// some of the block's are in.
    func lowest(count: Int, before: Int) -> UInt32? {
      if !isPartial { return kept > 0 || bits == .max ? bits : bits + 1 }
      if before + count <= kept { return bits }
      return before >= kept ? bits + 1 : nil
    }
  }

  var kept: Cut
  var dropped: Cut

  /// Elements of a block outside the band become 0.
  ///
  /// - Parameters:
  ///   - equals: for either cut, how many of the block's elements have its bits, where only some of the tensor's are in.
  ///   - before: how many there are in the blocks before it.
  func keep(
    _ x: UnsafeMutablePointer<Float>, count: Int, equals: (kept: Int, dropped: Int), before: (kept: Int, dropped: Int),
    kernels: Kernels
  ) {
    let low = kept.lowest(count: equals.kept, before: before.kept)
    let above = dropped.lowest(count: equals.dropped, before: before.dropped)
    if let low, let above {
      if above == 0 { return x.update(repeating: 0, count: count) }
      return kernels.keepMagnitudes(x, count: count, low: low, high: above - 1)
    }
    var (keptEquals, droppedEquals) = before
    for index in 0..<count {
      let bits = x[index].bitPattern & 0x7fff_ffff
      var isKept = bits >= low ?? (kept.bits + 1)
      if low == nil, bits == kept.bits {
        isKept = keptEquals < kept.kept
        keptEquals += 1
      }
      var isDropped = bits >= above ?? (dropped.bits + 1)
      if above == nil, bits == dropped.bits {
        isDropped = droppedEquals < dropped.kept
        droppedEquals += 1
      }
      if !isKept || isDropped { x[index] = 0 }
    }
  }
}
