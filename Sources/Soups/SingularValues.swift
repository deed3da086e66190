/// The singular value decomposition T = U·diag(σ)·Vᵀ of a small matrix that is at least as tall as wide.
///
/// One-sided Jacobi (Hestenes 1958; Golub & Van Loan §8.6.3): pairs of columns are rotated until all are orthogonal.
/// Fixed order, f64, no library calls: the same bits everywhere. O(p·q²) per sweep, about ten sweeps.
struct SingularValues: Sendable {
  /// U: q columns of length p, each of length 1, or 0 where σ is.
  let left: [[Double]]
  /// σ, in the order of the columns, not sorted.
  let values: [Double]
  /// V: q columns of length q.
  let right: [[Double]]

  private static let sweepLimit = 64

  /// - Parameter columns: q columns of p ≥ q finite numbers, none above 1e150 in size (their squares are summed).
  init(columns: [[Double]]) {
    var left = columns
    let width = columns.count
    var right = (0..<width).map { column in (0..<width).map { $0 == column ? 1.0 : 0.0 } }
    for _ in 0..<Self.sweepLimit {
      var rotated = false
      for first in 0..<width {
        for second in (first + 1)..<width {
          guard let (cosine, sine) = Self.rotation(left[first], left[second]) else { continue }
          rotated = true
          (left[first], left[second]) = Self.rotate(left[first], left[second], cosine, sine)
          (right[first], right[second]) = Self.rotate(right[first], right[second], cosine, sine)
        }
      }
      if !rotated { break }
    }
    values = left.map { dot($0, $0).squareRoot() }
    self.left = zip(left, values).map { column, value in value > 0 ? column.map { $0 / value } : column }
    self.right = right
  }

  /// The rotation that makes two columns orthogonal, or nil where rounding can do no better.
  private static func rotation(_ first: [Double], _ second: [Double]) -> (cosine: Double, sine: Double)? {
    let firstSquare = dot(first, first)
    let secondSquare = dot(second, second)
    let product = dot(first, second)
    guard product.magnitude > 1e-15 * (firstSquare * secondSquare).squareRoot() else { return nil }
    let ratio = (secondSquare - firstSquare) / (2 * product)
    let tangent = (ratio < 0 ? -1 : 1) / (ratio.magnitude + (1 + ratio * ratio).squareRoot())
    guard tangent != 0 else { return nil }
    let cosine = 1 / (1 + tangent * tangent).squareRoot()
    return (cosine, cosine * tangent)
  }

  private static func rotate(
    _ first: [Double], _ second: [Double], _ cosine: Double, _ sine: Double
  ) -> ([Double], [Double]) {
    (
      zip(first, second).map { cosine * $0 - sine * $1 },
      zip(first, second).map { sine * $0 + cosine * $1 }
    )
  }
}

/// Σ aᵢbᵢ in ascending order.
func dot(_ a: [Double], _ b: [Double]) -> Double {
  var sum = 0.0
  for (x, y) in zip(a, b) { sum += x * y }
  return sum
}
