import Kernels
import Platform

/// One matrix product of a step: rows of `input` through `weight` into rows of `output`.
struct Projection {
  let weight: Weight
  let bias: VectorWeight?
  let input: UnsafePointer<Float>
  let inputStride: Int
  let output: UnsafeMutablePointer<Float>
  let outputStride: Int
  /// Adds to what `output` holds.
  let accumulates: Bool

  /// Output columns `columns` of all `rows` rows.
  func compute(rows: Int, columns: Range<Int>, kernels: Kernels) {
    let target = output + columns.lowerBound
    kernels.matmul(
      x: input, ldx: inputStride, m: rows, w: weight.row(columns.lowerBound), type: weight.type, ldw: weight.columns,
      n: columns.count, k: weight.columns, y: target, ldy: outputStride, accumulate: accumulates)
    guard let bias else { return }
    for row in 0..<rows {
      kernels.add(x: target + row * outputStride, y: bias.pointer + columns.lowerBound, count: columns.count)
    }
  }
}

/// Runs projections over the pool: output columns are shared out, sums are never split.
struct ProjectionRunner {
  let kernels: Kernels
  let pool: ThreadPool
  let monitor: Monitor

  /// Below this many multiplications a dispatch costs more than it saves.
  private static let smallWork = 1 << 15
  private static let columnGranule = 16

  /// - Parameter rows: how many, the same for all projections.
  func run(_ projections: [Projection], rows: Int) {
    var columns = 0
    var work = 0
    for projection in projections {
      columns += projection.weight.rows
      work += projection.weight.rows * projection.weight.columns * rows
    }
    if pool.threadCount == 1 && work < 1 << 24 || work < Self.smallWork {
      for projection in projections {
        projection.compute(rows: rows, columns: 0..<projection.weight.rows, kernels: kernels)
      }
      return
    }
    // Four parts a thread even out the threads; more where a part would take longer than a cancel may wait.
    let parts = max(pool.threadCount * 4, work >> 28)
    let granule = max(Self.columnGranule, (columns / parts + Self.columnGranule - 1) & ~(Self.columnGranule - 1))
    var total = 0
    for projection in projections { total += (projection.weight.rows + granule - 1) / granule }
    pool.run(parts: total) { part in
      if monitor.isCancelled { return }
      var index = part
      for projection in projections {
        let count = (projection.weight.rows + granule - 1) / granule
        if index < count {
          let start = index * granule
          projection.compute(
            rows: rows, columns: start..<min(start + granule, projection.weight.rows), kernels: kernels)
          return
        }
        index -= count
      }
    }
  }
}
