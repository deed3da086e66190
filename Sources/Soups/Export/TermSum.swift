import Kernels
import Platform
import Transformer

/// A matrix that is a sum of terms, computed stretch by stretch: never whole in memory.
struct TermSum: Sendable {
  private let terms: FoldSum
  /// Products of low rank that are added to the terms, each times a coefficient.
  var products: [(factors: RankFactors, coefficient: Float)]
  let rows: Int
  let columns: Int
  let kernels: Kernels

  init(
    terms: [FoldTerm] = [], products: [(factors: RankFactors, coefficient: Float)] = [], rows: Int, columns: Int,
    kernels: Kernels
  ) {
    self.terms = FoldSum(terms)
    self.products = products
    self.rows = rows
    self.columns = columns
    self.kernels = kernels
  }

  /// Numbers that stay in the first-level cache while all terms are added.
  static let stretchLength = 2048
  /// Numbers of a part: small enough to answer a cancel soon and to even out the threads.
  static let partLength = 1 << 18

  /// Columns `stretch` of row `row`, at most `stretchLength` of them.
  func compute(row: Int, stretch: Range<Int>, into accumulator: UnsafeMutablePointer<Float>) {
    terms.compute(row: row, stretch: stretch, kernels: kernels, into: accumulator)
    for (factors, coefficient) in products {
      for rank in 0..<factors.rank {
        kernels.scaleAdd(
          coefficient: coefficient * factors.left(rank)[row], type: .f32,
          source: factors.right(rank) + stretch.lowerBound, count: stretch.count, into: accumulator)
      }
    }
  }

  /// The rows of a part, and how many parts there are.
  private var rowsPerPart: Int { max(1, Self.partLength / max(columns, 1)) }
  var partCount: Int { (rows + rowsPerPart - 1) / rowsPerPart }
  func rows(ofPart part: Int) -> Range<Int> { part * rowsPerPart..<min((part + 1) * rowsPerPart, rows) }

  /// Each stretch of each row of a part, in order.
  func forEachStretch(
    ofPart part: Int, accumulator: UnsafeMutablePointer<Float>, _ body: (_ row: Int, _ stretch: Range<Int>) -> Void
  ) {
    for row in rows(ofPart: part) {
      for start in stride(from: 0, to: columns, by: Self.stretchLength) {
        let stretch = start..<min(start + Self.stretchLength, columns)
        compute(row: row, stretch: stretch, into: accumulator)
        body(row, stretch)
      }
    }
  }

  /// Σ x² of all elements: the same bits for any number of threads.
  func squares(engine: Engine, monitor: Monitor) throws(BoneSoupError) -> Double {
    let sums = try Buffer(of: Double.self, count: partCount, allocator: engine.allocator, purpose: "sums of squares")
    let sum = sums.elements(Double.self)
    engine.pool.run(parts: partCount) { part in
      if monitor.isCancelled { return }
      withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.stretchLength) { accumulator in
        guard let accumulator = accumulator.baseAddress else { return }
        var total = 0.0
        forEachStretch(ofPart: part, accumulator: accumulator) { _, stretch in
          total += productSum(accumulator, accumulator, stretch.count)
        }
        sum[part] = total
      }
    }
    try monitor.check()
    return withExtendedLifetime(sums) { (0..<partCount).reduce(0) { $0 + sum[$1] } }
  }
}

/// Σ aᵢbᵢ, added in f32 over at most 512 numbers at a time and these sums in f64.
func productSum(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Double {
  var total = 0.0
  var start = 0
  while start < count {
    let end = min(start &+ 512, count)
    var sum = SIMD8<Float>(repeating: 0)
    var index = start
    while index &+ 8 <= end {
      let left = UnsafeRawPointer(a + index).loadUnaligned(as: SIMD8<Float>.self)
      let right = UnsafeRawPointer(b + index).loadUnaligned(as: SIMD8<Float>.self)
      sum += left * right
      index &+= 8
    }
    var rest: Float = 0
    while index < end {
      rest += a[index] * b[index]
      index &+= 1
    }
    for lane in 0..<8 { rest += sum[lane] }
    total += Double(rest)
    start = end
  }
  return total
}
