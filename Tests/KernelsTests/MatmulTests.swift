import Kernels
import TestSupport
import Testing

@Suite struct MatmulTests {
  @Test(arguments: Case.all)
  func agreesWithScalarReferenceAtAwkwardSizes(_ test: Case) {
    var random = SplitMix(seed: 1)
    for k in awkwardCounts {
      for (m, n) in [(0, 3), (3, 0), (1, 1), (1, 3), (2, 5), (4, 9), (5, 4), (7, 6), (13, 7)] {
        let (ldx, ldw, ldy) = (k + 3, k + 5, n + 2)
        let x = random.floats(m * ldx)
        let w = test.type.round(random.floats(n * ldw))
        // The last rows end where the matrix ends, not where the stride does.
        let xs = Fenced(Array(x.prefix(max(0, m * ldx - 3))))
        let ws = Fenced(bytes: test.type.bytes(Array(w.prefix(max(0, n * ldw - 5)))))
        let ys = Fenced([Float](repeating: 7, count: max(0, m * ldy - 2)))
        for accumulate in [false, true] {
          test.kernels.matmul(
            x: xs.floats, ldx: ldx, m: m, w: ws.start, type: test.type, ldw: ldw, n: n, k: k, y: ys.floats, ldy: ldy,
            accumulate: accumulate)
          let y = ys.values
          for i in 0..<m {
            for j in 0..<n {
              let products = (0..<k).map { Double(x[i * ldx + $0]) * Double(w[j * ldw + $0]) }
              let expected = products.reduce(0, +) * (accumulate ? 2 : 1)
              let bound = (Double(k) / 16 + 8) * 0x1p-24 * products.reduce(0) { $0 + abs($1) } * 2
              #expect(abs(Double(y[i * ldy + j]) - expected) <= bound, "\(m)x\(n)x\(k) at \(i), \(j)")
            }
            for j in n..<ldy where i * ldy + j < y.count { #expect(y[i * ldy + j] == 7) }
          }
        }
      }
    }
  }

  /// The contract that batches, prompts and threads may be cut in any way.
  @Test(arguments: Case.all)
  func bitsDependOnNeitherBatchNorTileNorSplit(_ test: Case) {
    var random = SplitMix(seed: 2)
    for (m, n, k) in [(200, 9, 40), (13, 37, 211), (6, 5, 16)] {
      let x = random.floats(m * k)
      let w = test.type.bytes(random.floats(n * k))
      func product(_ rows: Range<Int>, _ columns: Range<Int>) -> [UInt32] {
        let y = Fenced(floats: rows.count * columns.count)
        x.withUnsafeBufferPointer { x in
          w.withUnsafeBytes { w in
            guard let x = x.baseAddress, let w = w.baseAddress else { return }
            test.kernels.matmul(
              x: x + rows.lowerBound * k, ldx: k, m: rows.count, w: w + columns.lowerBound * k * test.type.byteCount,
              type: test.type, ldw: k, n: columns.count, k: k, y: y.floats, ldy: columns.count, accumulate: false)
          }
        }
        return y.bits
      }
      let whole = product(0..<m, 0..<n)
      for height in [1, 2, 3, 4, 5, 6, 7, 12, 64] {
        for width in [1, 2, 3, 4, 5, 8] {
          // Every tile at the small sizes, some of the large.
          for i in stride(from: 0, to: m - height + 1, by: m > 100 ? 37 : 1) {
            for j in stride(from: 0, to: n - width + 1, by: m > 100 ? 4 : 7) {
              let expected = (i..<i + height).flatMap { whole[$0 * n + j..<$0 * n + j + width] }
              #expect(product(i..<i + height, j..<j + width) == expected, "\(height)x\(width) at \(i), \(j)")
            }
          }
        }
      }
    }
  }

  @Test func weightsNeedNoAlignment() {
    for test in Case.all {
      let values: [Float] = (0..<35).map { Float($0 % 7) - 3 }
      let w = Fenced(bytes: [0] + test.type.bytes(values))
      let x = Fenced([Float](repeating: 1, count: 35), atEnd: false)
      let y = Fenced(floats: 1)
      test.kernels.matmul(
        x: x.floats, ldx: 35, m: 1, w: w.start + 1, type: test.type, ldw: 35, n: 1, k: 35, y: y.floats, ldy: 1,
        accumulate: false)
      #expect(y.values == [values.reduce(0, +)])
    }
  }

  @Test(arguments: Case.all)
  func nanStaysInItsRowAndColumn(_ test: Case) {
    let (m, n, k) = (7, 6, 20)
    var x = [Float](repeating: 1, count: m * k)
    var w = [Float](repeating: 1, count: n * k)
    x[2 * k + 19] = .nan
    w[3 * k] = .infinity
    let y = Fenced(floats: m * n)
    let (xs, ws) = (Fenced(x), Fenced(bytes: test.type.bytes(w)))
    test.kernels.matmul(
      x: xs.floats, ldx: k, m: m, w: ws.start, type: test.type, ldw: k, n: n, k: k, y: y.floats, ldy: n,
      accumulate: false)
    for (index, value) in y.values.enumerated() {
      if index / n == 2 {
        #expect(value.isNaN)
      } else {
        #expect(value == (index % n == 3 ? .infinity : 20))
      }
    }
  }
}
