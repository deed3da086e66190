import Platform

extension JSONValue {
  /// The nearest Double, whatever the locale; one that would be infinite is refused.
  public var double: Double {
    get throws(BoneSoupError) {
      try require(.number)
      let number = JSONDecimal(scalarText)
      if let exact = number.exactDouble { return exact }
      guard let value = Double(String(decoding: scalarText, as: UTF8.self)), value.isFinite else {
        throw malformed("is \(excerpt(scalarText)), which no 64-bit floating-point number can hold")
      }
      return value
    }
  }

  /// The exact integer: 1e3 and 2.0 are integers, 1.5 is not.
  public var int: Int {
    get throws(BoneSoupError) {
      try require(.number)
      switch JSONDecimal(scalarText).integer {
      case .value(let value): return value
      case .fraction: throw malformed("must be an integer, is \(excerpt(scalarText))")
      case .outOfRange: throw malformed("is \(excerpt(scalarText)), which no 64-bit integer can hold")
      }
    }
  }

  /// The exact integer within `range`.
  public func int(in range: ClosedRange<Int>) throws(BoneSoupError) -> Int {
    let value = try int
    guard range.contains(value) else {
      throw malformed("must be from \(range.lowerBound) to \(range.upperBound), is \(value)")
    }
    return value
  }
}
