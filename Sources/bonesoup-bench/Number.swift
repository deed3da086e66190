import Glibc

/// Numbers as text.
enum Number {
  /// Four digits, so many after the point as fit.
  static func short(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    let digits = abs(value) >= 1000 ? 0 : abs(value) >= 100 ? 1 : abs(value) >= 10 ? 2 : abs(value) >= 0.1 ? 3 : 5
    return fixed(value, digits)
  }

  /// null where JSON has no such number.
  static func json(_ value: Double) -> String { value.isFinite ? "\(value)" : "null" }

  private static func fixed(_ value: Double, _ digits: Int) -> String {
    let scale = pow(10.0, Double(digits))
    let scaled = (abs(value) * scale).rounded()
    let whole = (scaled / scale).rounded(.down)
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(Int(whole))" }
    let fraction = String(Int(scaled - whole * scale))
    return "\(sign)\(Int(whole)).\(String(repeating: "0", count: max(0, digits - fraction.count)))\(fraction)"
  }
}
