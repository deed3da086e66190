/// A number's text as ±significand × 10^exponent, the significand without trailing zeros.
struct JSONDecimal {
  enum Integer { case value(Int), fraction, outOfRange }

  private var isNegative = false
  private var significand: UInt64 = 0
  /// The significand has more digits than 64 bits hold.
  private var isTooLong = false
  private var exponent = 0

  /// Reads at most 1,024 bytes, as the parser lets through.
  init(_ text: UnsafeRawBufferPointer) {
    var zeros = 0
    var fractionDigits = 0
    var inFraction = false
    var written = 0
    var exponentIsNegative = false
    var inExponent = false
    for byte in text {
      let digit = byte &- UInt8(ascii: "0")
      if digit < 10 {
        if inExponent {
          written = min(written &* 10 &+ Int(digit), 1 << 20)
        } else {
          if inFraction { fractionDigits &+= 1 }
          if digit == 0 {
            zeros &+= 1
          } else {
            append(digit, after: zeros)
            zeros = 0
          }
        }
      } else if byte == UInt8(ascii: "-") {
        if inExponent { exponentIsNegative = true } else { isNegative = true }
      } else if byte == UInt8(ascii: ".") {
        inFraction = true
      } else if byte | 0x20 == UInt8(ascii: "e") {
        inExponent = true
      }
    }
    exponent = (exponentIsNegative ? 0 &- written : written) &- fractionDigits &+ zeros
  }

  private mutating func append(_ digit: UInt8, after zeros: Int) {
    if significand != 0 { for _ in 0..<zeros { multiplyByTen() } }
    if significand != 0 { multiplyByTen() }
    let (sum, overflow) = significand.addingReportingOverflow(UInt64(digit))
    significand = sum
    isTooLong = isTooLong || overflow
  }

  private mutating func multiplyByTen() {
    let (product, overflow) = significand.multipliedReportingOverflow(by: 10)
    // Not 0, which would read as "no digit yet".
    significand = overflow ? 1 : product
    isTooLong = isTooLong || overflow
  }

  var integer: Integer {
    if significand == 0 && !isTooLong { return .value(0) }
    if exponent < 0 { return .fraction }
    if isTooLong || exponent > 19 { return .outOfRange }
    var magnitude = significand
    for _ in 0..<exponent {
      let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
      if overflow { return .outOfRange }
      magnitude = product
    }
    if isNegative { return magnitude <= 1 << 63 ? .value(Int(truncatingIfNeeded: 0 &- magnitude)) : .outOfRange }
    return Int(exactly: magnitude).map { .value($0) } ?? .outOfRange
  }

  /// The value where one correctly rounded operation gives it (Clinger, 1990): both factors are exact.
  var exactDouble: Double? {
    guard !isTooLong, significand <= 1 << 53, exponent >= -22, exponent <= 22 else {
      return significand == 0 && !isTooLong ? (isNegative ? -0.0 : 0) : nil
    }
    var power = 1.0
    for _ in 0..<abs(exponent) { power *= 10 }
    let magnitude = exponent < 0 ? Double(significand) / power : Double(significand) * power
    return isNegative ? -magnitude : magnitude
  }
}
