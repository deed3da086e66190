import Checkpoints
import Kernels
import Platform
import Transformer

/// What an adapter adds to a matrix, Δ = s·U·D, or with a base θ₀ + Δ.
struct AdapterSource: TensorSource, @unchecked Sendable {
  private let columns: Int
  private let rank: Int
  private let scale: Double
  /// The factor whose elements multiply: element [row, rank] by its strides.
  private let left: UnsafeRawPointer
  private let leftType: ElementType
  private let leftRow: Int
  private let leftRank: Int
  /// The factor whose rows are added, [rank × columns].
  private let right: UnsafeRawPointer
  private let rightType: ElementType
  private let owners: [AnyObject]
  private let base: (any TensorSource)?

  var isDelta: Bool { base == nil }

  /// - Parameters:
  ///   - module: an adapter of a matrix with `columns` columns.
  ///   - base: θ₀; nil gives Δ alone.
  init(_ module: AdapterModule, columns: Int, base: (any TensorSource)?, engine: Engine) throws(BoneSoupError) {
    guard let up = module.up.bytes.baseAddress, let down = module.down.bytes.baseAddress else {
      throw .internalFault("the adapter of \(module.name) has no elements")
    }
    self.columns = columns
    self.base = base
    rank = module.rank
    scale = module.scale
    switch module.kind {
    case .linear:
      (left, leftType, leftRow, leftRank) = (up, module.up.type, module.rank, 1)
      (right, rightType) = (down, module.down.type)
      owners = [module.up.owner, module.down.owner]
    case .embedding:
      // E += (U·D)ᵀ: D's columns are the left factor's rows, and U is turned once so that its columns lie in rows.
      let turned = try Buffer(
        of: Float.self, count: module.rank * columns, allocator: engine.allocator, purpose: "an embedding's adapter")
      for column in 0..<columns {
        for index in 0..<module.rank {
          engine.kernels.widen(
            type: module.up.type, source: up + (column * module.rank + index) * module.up.type.byteCount, count: 1,
            into: turned.elements(Float.self) + index * columns + column)
        }
      }
      (left, leftType, leftRow, leftRank) = (down, module.down.type, 1, module.down.shape.last ?? 0)
      (right, rightType) = (UnsafeRawPointer(turned.pointer), .f32)
      owners = [module.down.owner, turned]
    }
  }

  func read(
    _ range: Range<Int>, into values: UnsafeMutablePointer<Float>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) throws(BoneSoupError) {
    if let base {
      try base.read(range, into: values, raw: raw, kernels: kernels)
    } else {
      values.update(repeating: 0, count: range.count)
    }
    var start = range.lowerBound
    while start < range.upperBound {
      let (row, column) = (start / columns, start % columns)
      let count = min(columns - column, range.upperBound - start)
      for index in 0..<rank {
        var factor: Float = 0
        let place = row * leftRow + index * leftRank
        kernels.widen(type: leftType, source: left + place * leftType.byteCount, count: 1, into: &factor)
        kernels.scaleAdd(
          coefficient: Float(scale * Double(factor)), type: rightType,
          source: right + (index * columns + column) * rightType.byteCount, count: count,
          into: values + (start - range.lowerBound))
      }
      start += count
    }
  }
}

/// A tensor that an adapter leaves alone.
struct UnchangedSource: TensorSource {
  var isDelta: Bool { true }

  func read(
    _ range: Range<Int>, into values: UnsafeMutablePointer<Float>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) {
    values.update(repeating: 0, count: range.count)
  }
}
