import Checkpoints
import Kernels
import Platform
import Transformer

/// One summand of a folded tensor.
struct FoldTerm: @unchecked Sendable {
  private enum Content {
    /// c·θ.
    case dense(TensorView, start: UnsafeRawPointer)
    /// c·Σ_r U[row, r]·D[r, ·], every factor where it lies.
    case lowRank(LowRank)
  }

  /// The factors of one adapter of one matrix, as left [rows × rank] and right [rank × columns] with any strides.
  private struct LowRank {
    let rank: Int
    let left: UnsafeRawPointer
    let leftType: ElementType
    let leftRowStride: Int
    let leftRankStride: Int
    let right: UnsafeRawPointer
    let rightType: ElementType
    let owners: [AnyObject]
  }

  private let coefficient: Double
  private let content: Content
  let columns: Int

  /// A full tensor; a vector is one row.
  init(_ tensor: TensorView, coefficient: Double) throws(BoneSoupError) {
    self.coefficient = coefficient
    columns = tensor.shape.last ?? 1
    content = .dense(tensor, start: try tensor.start())
  }

  /// An adapter of a matrix with `columns` columns. Its scale goes into the coefficient.
  init(
    _ module: AdapterModule, coefficient: Double, columns: Int, engine: Engine
  ) throws(BoneSoupError) {
    self.coefficient = coefficient * module.scale
    self.columns = columns
    let down = try module.down.start()
    let up = try module.up.start()
    switch module.kind {
    case .linear:
      content = .lowRank(
        LowRank(
          rank: module.rank, left: up, leftType: module.up.type, leftRowStride: module.rank, leftRankStride: 1,
          right: down, rightType: module.down.type, owners: [module.up.owner, module.down.owner]))
    case .embedding:
      // E += (U·D)ᵀ: D's columns are the left factor's rows, and U is turned once so that its columns lie in rows.
      let turned = try Buffer(
        of: Float.self, count: module.rank * columns, allocator: engine.allocator, purpose: "an embedding's adapter")
      let values = turned.elements(Float.self)
      for column in 0..<columns {
        for rank in 0..<module.rank {
          engine.kernels.widen(
            type: module.up.type, source: up + (column * module.rank + rank) * module.up.type.byteCount, count: 1,
            into: values + rank * columns + column)
        }
      }
      let vocabulary = module.down.shape.last ?? 0
      content = .lowRank(
        LowRank(
          rank: module.rank, left: down, leftType: module.down.type, leftRowStride: 1, leftRankStride: vocabulary,
          right: UnsafeRawPointer(turned.pointer), rightType: .f32, owners: [module.down.owner, turned]))
    }
  }

  /// A full tensor's first number, its type and its coefficient; nil of an adapter.
  var dense: (start: UnsafeRawPointer, type: ElementType, coefficient: Float)? {
    if case .dense(let tensor, let start) = content { (start, tensor.type, Float(coefficient)) } else { nil }
  }

  /// Says that the term will not be read again soon.
  func dropBehind() {
    if case .dense(let tensor, _) = content { tensor.dropBehind() }
  }

  /// A rank is a term of a merge: the row of D, with the number of U as its coefficient. So many at once.
  private static let ranksAtOnce = 64

  /// Adds columns `stretch` of row `row` of an adapter's product to the accumulator; of a full tensor, nothing.
  func addLowRank(
    row: Int, stretch: Range<Int>, kernels: Kernels, into accumulator: UnsafeMutablePointer<Float>
  ) {
    guard case .lowRank(let factors) = content else { return }
    withUnsafeTemporaryAllocation(of: MergeTerm.self, capacity: Self.ranksAtOnce) { terms in
      var rank = 0
      while rank < factors.rank {
        let count = min(factors.rank - rank, Self.ranksAtOnce)
        for index in 0..<count {
          var value: Float = 0
          let place = row * factors.leftRowStride + (rank + index) * factors.leftRankStride
          kernels.widen(
            type: factors.leftType, source: factors.left + place * factors.leftType.byteCount, count: 1, into: &value)
          let source = (rank + index) * columns + stretch.lowerBound
          terms.initializeElement(
            at: index,
            to: MergeTerm(
              source: factors.right + source * factors.rightType.byteCount,
              coefficient: Float(coefficient * Double(value))))
        }
        kernels.merge(
          UnsafeBufferPointer(rebasing: UnsafeBufferPointer(terms)[..<count]), type: factors.rightType,
          count: stretch.count, accumulates: true, into: accumulator)
        rank += count
      }
    }
  }
}
