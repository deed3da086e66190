/// ‖a − b‖ / ‖b‖ in Double; NaN where a number is none, infinity where the counts differ.
public func relativeDistance(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Double {
  guard a.count == b.count else { return .infinity }
  var difference = 0.0
  var size = 0.0
  for (left, right) in zip(a, b) {
    let delta = Double(left) - Double(right)
    difference += delta * delta
    size += Double(right) * Double(right)
  }
  return (difference / size).squareRoot()
}

/// Whether two sequences have the same bits.
public func sameBits(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
}
