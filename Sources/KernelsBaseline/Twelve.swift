/// Up to twelve values that the compiler keeps in registers, one for each token of a tile.
///
/// `count` is known to the compiler at every call, so that what a tile does not use is never made.
struct Twelve<Element> {
  var e0: Element
  var e1: Element
  var e2: Element
  var e3: Element
  var e4: Element
  var e5: Element
  var e6: Element
  var e7: Element
  var e8: Element
  var e9: Element
  var e10: Element
  var e11: Element

  @inline(__always)
  init(_ value: Element) {
    (e0, e1, e2, e3, e4, e5) = (value, value, value, value, value, value)
    (e6, e7, e8, e9, e10, e11) = (value, value, value, value, value, value)
  }

  /// Calls `body` for elements 0 ..< count in order, with the element and its number.
  @inline(__always)
  mutating func update(_ count: Int, _ body: (inout Element, Int) -> Void) {
    body(&e0, 0)
    if count > 1 { body(&e1, 1) }
    if count > 2 { body(&e2, 2) }
    if count > 3 { body(&e3, 3) }
    if count > 4 { body(&e4, 4) }
    if count > 5 { body(&e5, 5) }
    if count > 6 { body(&e6, 6) }
    if count > 7 { body(&e7, 7) }
    if count > 8 { body(&e8, 8) }
    if count > 9 { body(&e9, 9) }
    if count > 10 { body(&e10, 10) }
    if count > 11 { body(&e11, 11) }
  }

  /// Calls `body` for elements 0 ..< count in order, with those of `other`.
  @inline(__always)
  mutating func update<Other>(
    _ count: Int, with other: Twelve<Other>, _ body: (inout Element, Other, Int) -> Void
  ) {
    body(&e0, other.e0, 0)
    if count > 1 { body(&e1, other.e1, 1) }
    if count > 2 { body(&e2, other.e2, 2) }
    if count > 3 { body(&e3, other.e3, 3) }
    if count > 4 { body(&e4, other.e4, 4) }
    if count > 5 { body(&e5, other.e5, 5) }
    if count > 6 { body(&e6, other.e6, 6) }
    if count > 7 { body(&e7, other.e7, 7) }
    if count > 8 { body(&e8, other.e8, 8) }
    if count > 9 { body(&e9, other.e9, 9) }
    if count > 10 { body(&e10, other.e10, 10) }
    if count > 11 { body(&e11, other.e11, 11) }
  }
}
