public import Platform
import Transformer

/// How the backbones of a soup change its base, and how much they agree, tensor by tensor. Immutable.
public final class Comparison: Sendable {
  public let backboneCount: Int
  /// In the order of computing.
  private let tensors: [MixedTensor]
  private let sums: ChangeSums
  /// A row of sums for each tensor, and one for all together.
  private let rows: Buffer
  /// What follows from the sums of each: see `Table`.
  private let tables: Buffer

  /// Numbers of one tensor, each list beside the next, valid as long as the comparison.
  public struct Table {
    /// ‖Δᵢ‖, one for each of the n backbones.
    public let norms: UnsafePointer<Double>
    /// max |Δᵢ|.
    public let largest: UnsafePointer<Double>
    /// The share of elements with Δᵢ ≠ 0.
    public let changed: UnsafePointer<Double>
    /// [n × n]: ΔᵢΔⱼ / (‖Δᵢ‖‖Δⱼ‖); NaN where one is 0.
    public let cosines: UnsafePointer<Double>
    /// [n × n]: of the elements that both change, the share with like signs; NaN where there are none.
    public let agreements: UnsafePointer<Double>
  }

  public var count: Int { tensors.count }
  public func name(_ tensor: Int) -> String { tensor < count ? tensors[tensor].name : "" }
  /// [] for all together.
  public func shape(_ tensor: Int) -> [Int] { tensor < count ? tensors[tensor].shape : [] }

  /// Reads all files once, in parts, on all threads: bounded memory, and the same bits for any number of threads.
  public init(_ soup: Soup, monitor: Monitor) throws(BoneSoupError) {
    guard !soup.backbones.isEmpty else {
      throw .invalidArgument("the soup has no backbones, so that there is nothing to compare")
    }
    let mix = WeightMix(soup, coefficients: soup.backbones.map { _ in 1 }, baseShare: 1)
    backboneCount = soup.backbones.count
    tensors = mix.tensors
    let sums = ChangeSums(backboneCount: backboneCount)
    self.sums = sums
    rows = try Buffer(
      of: Double.self, count: (tensors.count + 1) * sums.width, allocator: soup.engine.allocator,
      purpose: "a comparison")
    let row = rows.elements(Double.self)
    row.update(repeating: 0, count: (tensors.count + 1) * sums.width)
    let total = tensors.reduce(0.0) { $0 + Double($1.source.elementCount) }
    var done = 0.0
    for (index, tensor) in tensors.enumerated() {
      try ComparedTensor(tensor, mix, sums).compare(into: row + index * sums.width, monitor: monitor)
      sums.add(row + index * sums.width, to: row + tensors.count * sums.width)
      done += Double(tensor.source.elementCount)
      try monitor.report(min(1, done / max(total, 1)))
    }
    let width = Self.tableWidth(backboneCount)
    tables = try Buffer(
      of: Double.self, count: (tensors.count + 1) * width, allocator: soup.engine.allocator, purpose: "a comparison")
    for index in 0...tensors.count {
      Self.fill(tables.elements(Double.self) + index * width, row + index * sums.width, sums)
    }
  }

  /// Numbers of a tensor; `count` stands for all together.
  private func row(_ tensor: Int) -> UnsafePointer<Double> {
    UnsafePointer(rows.elements(Double.self) + min(max(tensor, 0), count) * sums.width)
  }

  public func elementCount(_ tensor: Int) -> Double { row(tensor)[ChangeSums.elements] }
  /// ‖θ₀‖.
  public func baseNorm(_ tensor: Int) -> Double { row(tensor)[ChangeSums.baseSquare].squareRoot() }
  /// Of one tensor, or of all together.
  public func table(_ tensor: Int) -> Table {
    let n = backboneCount
    let start = UnsafePointer(tables.elements(Double.self) + min(max(tensor, 0), count) * Self.tableWidth(n))
    return Table(
      norms: start, largest: start + n, changed: start + 2 * n, cosines: start + 3 * n,
      agreements: start + 3 * n + n * n)
  }

  private static func tableWidth(_ n: Int) -> Int { 3 * n + 2 * n * n }

  private static func fill(
    _ table: UnsafeMutablePointer<Double>, _ row: UnsafePointer<Double>, _ sums: ChangeSums
  ) {
    let n = sums.backboneCount
    for backbone in 0..<n {
      table[backbone] = row[sums.square(backbone)].squareRoot()
      table[n + backbone] = row[sums.largest(backbone)]
      table[2 * n + backbone] = row[sums.changed(backbone)] / max(row[ChangeSums.elements], 1)
    }
    let cosines = table + 3 * n
    let agreements = cosines + n * n
    for first in 0..<n {
      cosines[first * n + first] = table[first] > 0 ? 1 : .nan
      agreements[first * n + first] = table[2 * n + first] > 0 ? 1 : .nan
      for second in (first + 1)..<max(n, first + 1) {
        let pair = sums.pair(first, second)
        let cosine = row[pair] / (table[first] * table[second])
        let agreement = row[pair + 2] / row[pair + 1]
        cosines[first * n + second] = cosine
        cosines[second * n + first] = cosine
        agreements[first * n + second] = agreement
        agreements[second * n + first] = agreement
      }
    }
  }

  /// Of the elements that two or more change, the share with unlike signs: what TIES resolves. NaN where there are none.
  public func conflict(_ tensor: Int) -> Double {
    row(tensor)[ChangeSums.conflicting] / row(tensor)[ChangeSums.shared]
  }

  /// 1 − Σ|ΣᵢΔᵢ| / ΣΣᵢ|Δᵢ|: how much of the changes cancels where all are added. NaN where there are none.
  public func cancellation(_ tensor: Int) -> Double {
    let all = (0..<backboneCount).reduce(0.0) { $0 + row(tensor)[sums.magnitude($1)] }
    return 1 - row(tensor)[ChangeSums.summedMagnitude] / all
  }
}
