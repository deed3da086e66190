import Platform
import Transformer

/// The eigenvalues and eigenvectors of a small symmetric matrix, the largest value first.
///
/// Cyclic Jacobi (Golub & Van Loan §8.5), f64, fixed order: the same bits everywhere. About ten sweeps of 6·n³ steps.
struct SymmetricEigen: Sendable {
  let count: Int
  private let values: Buffer
  /// [count × count], a vector in each row.
  private let vectors: Buffer
  private let order: Buffer

  private static let sweepLimit = 40

  /// - Parameter matrix: [count × count], which is destroyed.
  init(_ matrix: Buffer, count: Int, engine: Engine, monitor: Monitor) throws(BoneSoupError) {
    self.count = count
    let allocator = engine.allocator
    values = try Buffer(of: Double.self, count: count, allocator: allocator, purpose: "eigenvalues")
    vectors = try Buffer(of: Double.self, count: count * count, allocator: allocator, purpose: "eigenvectors")
    order = try Buffer(of: Int.self, count: count, allocator: allocator, purpose: "the order of eigenvalues")
    let a = matrix.elements(Double.self)
    let v = vectors.elements(Double.self)
    for row in 0..<count {
      for column in 0..<count { v[row * count + column] = row == column ? 1 : 0 }
    }
    for _ in 0..<Self.sweepLimit {
      var isRotated = false
      for p in 0..<count {
        try monitor.check()
        for q in (p + 1)..<max(count, p + 1) where Self.rotate(a, v, p, q, count) { isRotated = true }
      }
      if !isRotated { break }
    }
    let value = values.elements(Double.self)
    let place = order.elements(Int.self)
    for index in 0..<count {
      value[index] = a[index * count + index]
      place[index] = index
    }
    var places = UnsafeMutableBufferPointer(start: place, count: count)
    places.sort { (-value[$0], $0) < (-value[$1], $1) }
  }

  /// Eigenvalue `rank`, from the largest.
  func value(_ rank: Int) -> Double { values.elements(Double.self)[order.elements(Int.self)[rank]] }

  /// Its vector, `count` numbers.
  func vector(_ rank: Int) -> UnsafePointer<Double> {
    UnsafePointer(vectors.elements(Double.self) + order.elements(Int.self)[rank] * count)
  }

  /// Makes element (p, q) zero; false where it is so already, for rounding.
  private static func rotate(
    _ a: UnsafeMutablePointer<Double>, _ v: UnsafeMutablePointer<Double>, _ p: Int, _ q: Int, _ n: Int
  ) -> Bool {
    let element = a[p * n + q]
    let (first, second) = (a[p * n + p], a[q * n + q])
    guard element.magnitude > 1e-16 * (first * second).magnitude.squareRoot(), element.magnitude > 1e-300 else {
      return false
    }
    let ratio = (second - first) / (2 * element)
    let tangent = (ratio < 0 ? -1 : 1) / (ratio.magnitude + (1 + ratio * ratio).squareRoot())
    guard tangent != 0 else { return false }
    let cosine = 1 / (1 + tangent * tangent).squareRoot()
    let sine = cosine * tangent
    for k in 0..<n {
      let (left, right) = (a[p * n + k], a[q * n + k])
      a[p * n + k] = cosine * left - sine * right
      a[q * n + k] = sine * left + cosine * right
      let (x, y) = (v[p * n + k], v[q * n + k])
      v[p * n + k] = cosine * x - sine * y
      v[q * n + k] = sine * x + cosine * y
    }
    for k in 0..<n {
      let (left, right) = (a[k * n + p], a[k * n + q])
      a[k * n + p] = cosine * left - sine * right
      a[k * n + q] = sine * left + cosine * right
    }
    return true
  }
}
