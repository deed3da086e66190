import Platform

extension JSONParser {
  /// Longer numbers are refused: no writer makes them, and the limit bounds the work of decoding one.
  private static var maximumNumberBytes: Int { 1024 }

  @inline(__always)
  mutating func scanNumber() throws(BoneSoupError) {
    let start = position
    let stop = min(end, start + Self.maximumNumberBytes + 1)
    if text[position] == UInt8(ascii: "-") { position &+= 1 }
    if position < stop, text[position] == UInt8(ascii: "0") {
      position &+= 1
      if position < stop, text[position] &- UInt8(ascii: "0") < 10 {
        throw failure(at: start, "a number with a leading zero")
      }
    } else {
      try scanDigits(until: stop)
    }
    if position < stop, text[position] == UInt8(ascii: ".") {
      position &+= 1
      try scanDigits(until: stop)
    }
    if position < stop, text[position] | 0x20 == UInt8(ascii: "e") {
      position &+= 1
      if position < stop, text[position] == UInt8(ascii: "+") || text[position] == UInt8(ascii: "-") { position &+= 1 }
      try scanDigits(until: stop)
    }
    guard position - start <= Self.maximumNumberBytes else {
      throw failure(at: start, "a number of more than \(Self.maximumNumberBytes) characters")
    }
    try appendScalar(.number, start: start, count: position &- start)
  }

  /// One digit or more.
  @inline(__always)
  private mutating func scanDigits(until stop: Int) throws(BoneSoupError) {
    let first = position
    while position < stop, text[position] &- UInt8(ascii: "0") < 10 { position &+= 1 }
    guard position > first else { throw unexpected("a digit") }
  }
}
