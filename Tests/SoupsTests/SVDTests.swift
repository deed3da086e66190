import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

@Suite struct SVDTests {
  private static func engine(threads: Int = 2) -> Engine {
    Engine(pool: ThreadPool(threadCount: threads), allocator: .system)
  }

  private func random(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SplitMix(seed: seed)
    return (0..<count).map { _ in Float(Double(generator.next() >> 11) * 0x1p-53 * 2 - 1) }
  }

  private func floats(_ buffer: Buffer, _ count: Int) -> [Float] {
    Array(UnsafeBufferPointer(start: buffer.elements(Float.self), count: count))
  }

  private func doubles(_ buffer: Buffer, _ count: Int) -> [Double] {
    Array(UnsafeBufferPointer(start: buffer.elements(Double.self), count: count))
  }

  private func product(_ svd: SVD) -> [Float] {
    let (u, v) = (floats(svd.left, svd.rows * svd.rank), floats(svd.right, svd.rank * svd.columns))
    let s = doubles(svd.values, svd.rank)
    var result = [Float](repeating: 0, count: svd.rows * svd.columns)
    for i in 0..<svd.rows {
      for r in 0..<svd.rank {
        let factor = Float(Double(u[i * svd.rank + r]) * s[r])
        for j in 0..<svd.columns { result[i * svd.columns + j] += factor * v[r * svd.columns + j] }
      }
    }
    return result
  }

  /// The largest |xᵢ·xⱼ − δᵢⱼ| of rows.
  private func orthogonality(rows: Int, length: Int, _ element: (Int, Int) -> Float) -> Double {
    var worst = 0.0
    for i in 0..<rows {
      for j in 0...i {
        var sum = i == j ? -1.0 : 0
        for k in 0..<length { sum += Double(element(i, k)) * Double(element(j, k)) }
        worst = max(worst, sum.magnitude)
      }
    }
    return worst
  }

  private func expectOrthogonal(_ svd: SVD, within bound: Double) {
    let (u, v) = (floats(svd.left, svd.rows * svd.rank), floats(svd.right, svd.rank * svd.columns))
    #expect(orthogonality(rows: svd.rank, length: svd.rows) { u[$1 * svd.rank + $0] } < bound)
    #expect(orthogonality(rows: svd.rank, length: svd.columns) { v[$0 * svd.columns + $1] } < bound)
    let s = doubles(svd.values, svd.rank)
    #expect(zip(s, s.dropFirst()).allSatisfy { $0 >= $1 } && s.allSatisfy { $0 > 0 })
  }

  @Test(arguments: [[1, 1], [1, 7], [7, 1], [5, 5], [33, 20], [20, 33], [70, 64], [40, 130]])
  func wholeDecompositionGivesTheMatrixBack(shape: [Int]) throws {
    let matrix = random(shape[0] * shape[1], seed: UInt64(shape[0] * 1000 + shape[1]))
    let svd = try SVD.compute(matrix, rows: shape[0], columns: shape[1], engine: Self.engine())
    #expect(svd.rank == min(shape[0], shape[1]))
    #expect(svd.error < 1e-7)
    #expect(relativeDistance(product(svd), matrix) < 1e-6)
    expectOrthogonal(svd, within: 1e-5)
  }

  /// Singular values of a known matrix: U·diag(σ)·Vᵀ with reflections for U and V.
  @Test func wideSpectrumIsFound() throws {
    let n = 24
    let sigma = (0..<n).map { 1000 * Float(0.6).power($0) }
    let (a, b) = (random(n, seed: 1), random(n, seed: 2))
    func reflection(_ v: [Float], _ i: Int, _ j: Int) -> Double {
      let square = v.reduce(0.0) { $0 + Double($1) * Double($1) }
      return (i == j ? 1 : 0) - 2 * Double(v[i]) * Double(v[j]) / square
    }
    var matrix = [Float](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in 0..<n {
        matrix[i * n + j] = Float(
          (0..<n).reduce(0.0) { $0 + reflection(a, i, $1) * Double(sigma[$1]) * reflection(b, $1, j) })
      }
    }
    let svd = try SVD.compute(matrix, rows: n, columns: n, engine: Self.engine())
    for (value, expected) in zip(doubles(svd.values, svd.rank), sigma) {
      #expect((value - Double(expected)).magnitude < 1e-4)
    }
    expectOrthogonal(svd, within: 1e-2)
  }

  @Test func rankAndErrorCutTheDecomposition() throws {
    let (rows, columns) = (60, 50)
    let matrix = random(rows * columns, seed: 3)
    let whole = try SVD.compute(matrix, rows: rows, columns: columns, engine: Self.engine())
    let s = doubles(whole.values, whole.rank)
    let total = s.reduce(0) { $0 + $1 * $1 }
    let cut = try SVD.compute(matrix, rows: rows, columns: columns, limit: .rank(20), engine: Self.engine())
    #expect(cut.rank == 20)
    let expected = (s[20...].reduce(0) { $0 + $1 * $1 } / total).squareRoot()
    #expect((cut.error - expected).magnitude < 1e-6)
    let loose = try SVD.compute(matrix, rows: rows, columns: columns, limit: .error(0.3), engine: Self.engine())
    #expect(loose.error <= 0.3 && loose.rank < 50)
    #expect((s[(loose.rank - 1)...].reduce(0) { $0 + $1 * $1 } / total).squareRoot() > 0.3)
    #expect((relativeDistance(product(loose), matrix) - loose.error).magnitude < 1e-5)
  }

  @Test func lowRankOfALargeMatrixIsFoundByIteration() throws {
    let (rows, columns, inner) = (150, 210, 6)
    let (a, b) = (random(rows * inner, seed: 4), random(inner * columns, seed: 5))
    var matrix = random(rows * columns, seed: 6).map { $0 * 1e-3 }
    for i in 0..<rows {
      for r in 0..<inner {
        for j in 0..<columns { matrix[i * columns + j] += a[i * inner + r] * b[r * columns + j] }
      }
    }
    #expect(SVD.isSmall(inner, of: rows))
    let quick = try SVD.compute(matrix, rows: rows, columns: columns, limit: .rank(inner), engine: Self.engine())
    let whole = try SVD.compute(matrix, rows: rows, columns: columns, engine: Self.engine())
    for (x, y) in zip(doubles(quick.values, inner), doubles(whole.values, inner)) {
      #expect((x / y - 1).magnitude < 1e-5)
    }
    #expect((relativeDistance(product(quick), matrix) - quick.error).magnitude < 1e-5)
    expectOrthogonal(quick, within: 1e-4)
  }

  /// As the product of an adapter's U and D is: all but a few of the Gram matrix' eigenvalues are rounding noise.
  @Test func exactlyLowRankIsDecomposedWhole() throws {
    let (rows, columns, inner) = (128, 352, 8)
    let (a, b) = (random(rows * inner, seed: 11), random(inner * columns, seed: 12))
    var matrix = [Float](repeating: 0, count: rows * columns)
    for i in 0..<rows {
      for r in 0..<inner {
        for j in 0..<columns { matrix[i * columns + j] += 1e-2 * a[i * inner + r] * b[r * columns + j] }
      }
    }
    let svd = try SVD.compute(matrix, rows: rows, columns: columns, engine: Self.engine())
    #expect(svd.rank >= inner)
    #expect(relativeDistance(product(svd), matrix) < 1e-6)
  }

  @Test(arguments: [SVD.Limit.none, .rank(4)])
  func threadsDoNotChangeTheBits(limit: SVD.Limit) throws {
    let matrix = random(140 * 90, seed: 7)
    let one = try SVD.compute(matrix, rows: 90, columns: 140, limit: limit, engine: Self.engine(threads: 1))
    let three = try SVD.compute(matrix, rows: 90, columns: 140, limit: limit, engine: Self.engine(threads: 3))
    #expect(sameBits(floats(one.left, 90 * one.rank), floats(three.left, 90 * three.rank)))
    #expect(sameBits(floats(one.right, 140 * one.rank), floats(three.right, 140 * three.rank)))
  }

  @Test func degenerateMatricesAreDecomposed() throws {
    let zero = try SVD.compute([Float](repeating: 0, count: 12), rows: 3, columns: 4, engine: Self.engine())
    #expect(zero.rank == 0 && zero.error == 0)
    var matrix = [Float](repeating: 0, count: 100 * 100)
    for i in 0..<100 { for j in 0..<100 { matrix[i * 100 + j] = Float(i + 1) * Float(j + 1) } }
    for limit in [SVD.Limit.none, .rank(2)] {
      let one = try SVD.compute(matrix, rows: 100, columns: 100, limit: limit, engine: Self.engine())
      #expect(one.rank == 1)
      #expect(relativeDistance(product(one), matrix) < 1e-6)
    }
    let huge = try SVD.compute([3e38, 0, 0, 1e-38], rows: 2, columns: 2, engine: Self.engine())
    #expect(huge.rank == 1)
  }

  @Test func wrongInputIsRefused() throws {
    for limit in [SVD.Limit.none, .rank(1)] {
      var matrix = random(100 * 100, seed: 8)
      matrix[5000] = .nan
      #expect(
        failure { try SVD.compute(matrix, rows: 100, columns: 100, limit: limit, engine: Self.engine()) }
          .hasPrefix("malformed: "))
    }
    for (rows, columns) in [(0, 1), (1, 0), (-1, -1), (1 << 40, 1 << 40)] {
      #expect(
        failure { try SVD.compute([1], rows: rows, columns: columns, engine: Self.engine()) }
          .hasPrefix("invalidArgument: "))
    }
    let token = try CancelToken.make()
    defer { token.release() }
    token.cancel()
    #expect(
      failure {
        try SVD.compute(
          random(100, seed: 9), rows: 10, columns: 10, engine: Self.engine(),
          monitor: Monitor(token: token, progress: nil))
      }.hasPrefix("cancelled"))
  }

  @Test(arguments: [SVD.Limit.none, .rank(4)])
  func memoryIsWhatWasSaid(limit: SVD.Limit) throws {
    for shape in [[120, 200], [200, 120], [100, 100]] {
      let said = SVD.byteCount(rows: shape[0], columns: shape[1], limit: limit)
      let engine = Engine(
        pool: ThreadPool(threadCount: 1), allocator: Allocator(limit: said + 1 << 16, host: nil))
      _ = try SVD.compute(
        random(shape[0] * shape[1], seed: 10), rows: shape[0], columns: shape[1], limit: limit, engine: engine)
    }
  }
}

extension Float {
  fileprivate func power(_ exponent: Int) -> Float { (0..<exponent).reduce(1) { product, _ in product * self } }
}
