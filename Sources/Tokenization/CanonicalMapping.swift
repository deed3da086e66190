@_spi(_Unicode) import Swift

/// Canonical decompositions and compositions of single characters, from the standard library's tables.
///
/// As of Unicode 9, the version of `tokenizers`: models have seen text normalised by it. Characters that came later are
/// starters that neither decompose nor compose. Only strings of one or two characters are made, which need no memory
/// from the heap.
enum CanonicalMapping {
  private static func isKnown(_ scalar: Unicode.Scalar) -> Bool { scalar.isAssigned(in: 9) }

  /// The canonical combining class.
  static func combiningClass(_ scalar: Unicode.Scalar) -> UInt8 {
    isKnown(scalar) ? scalar.properties.canonicalCombiningClass.rawValue : 0
  }

  /// Whether the character is its own composed form.
  static func isUnchanged(_ scalar: Unicode.Scalar) -> Bool {
    guard isKnown(scalar) else { return true }
    var composed = String(scalar)._nfc.makeIterator()
    return composed.next() == scalar && composed.next() == nil
  }

  /// Calls `body` for each character of the full canonical decomposition.
  @inline(__always)
  static func decompose<Failure>(
    _ scalar: Unicode.Scalar, _ body: (Unicode.Scalar) throws(Failure) -> Void
  ) throws(Failure) {
    guard isKnown(scalar) else { return try body(scalar) }
    var decomposed = String(scalar)._nfd.makeIterator()
    while let next = decomposed.next() { try body(next) }
  }

  /// The primary composite of two characters, both decomposed or composed as far as can be; nil where there is none.
  static func compose(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    guard isKnown(first), isKnown(second) else { return nil }
    var pair = String.UnicodeScalarView()
    pair.append(first)
    pair.append(second)
    var composed = String(pair)._nfc.makeIterator()
    guard let result = composed.next(), composed.next() == nil else { return nil }
    return result
  }
}

extension Unicode.Scalar {
  /// Whether the character was assigned in that version of Unicode.
  func isAssigned(in version: Int) -> Bool { (properties.age?.major ?? .max) <= version }
}
