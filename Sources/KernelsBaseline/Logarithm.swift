/// ln x, within about 1 ulp; −∞ for 0, NaN below 0.
///
/// x = 2^e · m with m in √½ ..< √2; ln m = 2·artanh(s) = 2·(s + s³/3 + s⁵/5 + …) with s = (m − 1)/(m + 1), |s| < 0.172,
/// whose terms from s²⁵ on are below 1e-20.
func naturalLogarithm(_ x: Double) -> Double {
  guard x > 0, x < .infinity else { return x == 0 ? -.infinity : (x > 0 ? x : .nan) }
  let normal = x < .leastNormalMagnitude ? x * 0x1p54 : x
  var exponent = x < .leastNormalMagnitude ? -54.0 : 0
  let bits = normal.bitPattern
  exponent += Double(Int64(truncatingIfNeeded: bits >> 52) &- 1023)
  var m = Double(bitPattern: bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000)
  if m > 1.4142135623730951 {
    m *= 0.5
    exponent += 1
  }
  let s = (m - 1) / (m + 1)
  let t = s * s
  var series = 1.0 / 23
  series = series * t + 1.0 / 21
  series = series * t + 1.0 / 19
  series = series * t + 1.0 / 17
  series = series * t + 1.0 / 15
  series = series * t + 1.0 / 13
  series = series * t + 1.0 / 11
  series = series * t + 1.0 / 9
  series = series * t + 1.0 / 7
  series = series * t + 1.0 / 5
  series = series * t + 1.0 / 3
  let ln2High = 0.693147180369123816490  // 32 bits: times an exponent, exact
  let ln2Low = 1.90821492927058770002e-10
  return exponent * ln2High + (2 * s + (2 * s * t * series + exponent * ln2Low))
}
