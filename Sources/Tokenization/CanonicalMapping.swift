@_spi(_Unicode) import Swift

/// Canonical decompositions and compositions of single characters, from the standard library's tables.
///
/// Only strings of one or two characters are made, which need no memory from the heap.
enum CanonicalMapping {
  /// Whether the character is its own composed form.
  static func isUnchanged(_ scalar: Unicode.Scalar) -> Bool {
    var composed = String(scalar)._nfc.makeIterator()
    return composed.next() == scalar && composed.next() == nil
  }

  /// Calls `body` for each character of the full canonical decomposition.
  @inline(__always)
  static func decompose<Failure>(
    _ scalar: Unicode.Scalar, _ body: (Unicode.Scalar) throws(Failure) -> Void
  ) throws(Failure) {
    var decomposed = String(scalar)._nfd.makeIterator()
    while let next = decomposed.next() { try body(next) }
  }

  /// The primary composite of two characters, both decomposed or composed as far as can be; nil where there is none.
  static func compose(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    var pair = String.UnicodeScalarView()
    pair.append(first)
    pair.append(second)
    var composed = String(pair)._nfc.makeIterator()
    guard let result = composed.next(), composed.next() == nil else { return nil }
    return result
  }
}
