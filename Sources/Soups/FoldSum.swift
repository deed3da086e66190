import Kernels

/// The terms of a folded tensor in their order, full tensors of one type that follow each other in one pass.
struct FoldSum: Sendable {
  private let runs: [Range<Int>]
  private let terms: [FoldTerm]

  init(_ terms: [FoldTerm]) {
    self.terms = terms
    var runs: [Range<Int>] = []
    for (index, term) in terms.enumerated() {
      if let run = runs.last, let type = term.dense?.type, terms[run.lowerBound].dense?.type == type {
        runs[runs.count - 1] = run.lowerBound..<index + 1
      } else {
        runs.append(index..<index + 1)
      }
    }
    self.runs = runs
  }

  /// Columns `stretch` of row `row`; zeros without terms.
  func compute(
    row: Int, stretch: Range<Int>, kernels: Kernels, into sums: UnsafeMutablePointer<Float>
  ) {
    if terms.isEmpty { sums.update(repeating: 0, count: stretch.count) }
    for run in runs {
      guard let type = terms[run.lowerBound].dense?.type else {
        if run.lowerBound == 0 { sums.update(repeating: 0, count: stretch.count) }
        terms[run.lowerBound].addLowRank(row: row, stretch: stretch, kernels: kernels, into: sums)
        continue
      }
      withUnsafeTemporaryAllocation(of: MergeTerm.self, capacity: run.count) { merged in
        for index in run {
          let place = (row * terms[index].columns + stretch.lowerBound) * type.byteCount
          guard let dense = terms[index].dense else { return }
          merged.initializeElement(
            at: index - run.lowerBound,
            to: MergeTerm(source: dense.start + place, coefficient: dense.coefficient))
        }
        kernels.merge(
          UnsafeBufferPointer(merged), type: type, count: stretch.count, accumulates: run.lowerBound > 0, into: sums)
      }
    }
  }

  /// Says that the terms will not be read again soon.
  func dropBehind() { for term in terms { term.dropBehind() } }
}
