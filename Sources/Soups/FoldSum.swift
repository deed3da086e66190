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
      withTerms(run, row: row, column: stretch.lowerBound) { merged in
        kernels.merge(merged, type: type, count: stretch.count, accumulates: run.lowerBound > 0, into: sums)
      }
    }
  }

  /// The type of the terms where all are full tensors of one type: then panels are made in one pass.
  var commonType: ElementType? { runs.count == 1 ? terms[0].dense?.type : nil }

  /// The terms of a sum that has a `commonType`.
  var mergeTerms: [MergeTerm] {
    terms.compactMap { $0.dense.map { MergeTerm(source: $0.start, coefficient: $0.coefficient) } }
  }

  /// Full tensors as the kernels take them, from an element on.
  private func withTerms(_ run: Range<Int>, row: Int, column: Int, _ body: (UnsafeBufferPointer<MergeTerm>) -> Void) {
    withUnsafeTemporaryAllocation(of: MergeTerm.self, capacity: run.count) { merged in
      for index in run {
        guard let dense = terms[index].dense else { return }
        let place = (row * terms[index].columns + column) * dense.type.byteCount
        merged.initializeElement(
          at: index - run.lowerBound, to: MergeTerm(source: dense.start + place, coefficient: dense.coefficient))
      }
      body(UnsafeBufferPointer(merged))
    }
  }

  /// Says that the terms will not be read again soon.
  func dropBehind() { for term in terms { term.dropBehind() } }
}
