/// sin x and cos x, within about 1e-15 for |x| < 2^23 · π/2 (1.3e7); NaN beyond, and for NaN.
///
/// x = n · π/2 + r with |r| ≤ π/4; π/2 is split in three parts (Cody and Waite) of which the first two have 30 bits, so
/// that n times each is exact. sin r and cos r by their Taylor polynomials (remainders below 1e-17); n mod 4 says which
/// goes where. Plain multiplications and additions only: the same bits on every machine.
public func sineCosine(_ x: Double) -> (sine: Double, cosine: Double) {
  guard x > -13_176_794, x < 13_176_794 else { return (.nan, .nan) }
  let rounder = 0x1.8p52
  let shifted = x * 0.6366197723675814 + rounder
  let n = shifted - rounder
  let r = ((x - n * 0x1.921fb54p0) - n * 0x1.10b46118p-30) - n * 0x1.313198a2e0370p-61
  let square = r * r
  var s = 1.0 / 355687428096000
  s = s * square - 1.0 / 1307674368000
  s = s * square + 1.0 / 6227020800
  s = s * square - 1.0 / 39916800
  s = s * square + 1.0 / 362880
  s = s * square - 1.0 / 5040
  s = s * square + 1.0 / 120
  s = s * square - 1.0 / 6
  let sine = r + r * square * s
  var c = -1.0 / 6402373705728000
  c = c * square + 1.0 / 20922789888000
  c = c * square - 1.0 / 87178291200
  c = c * square + 1.0 / 479001600
  c = c * square - 1.0 / 3628800
  c = c * square + 1.0 / 40320
  c = c * square - 1.0 / 720
  c = c * square + 1.0 / 24
  let cosine = 1 - (0.5 * square - square * square * c)
  return switch shifted.bitPattern & 3 {
  case 0: (sine, cosine)
  case 1: (cosine, -sine)
  case 2: (-sine, -cosine)
  default: (-cosine, sine)
  }
}
