import Kernels
import Platform

/// One matrix product of a step: `output` = W·x + b for all its rows, further columns U·r of adapted rows included.
///
/// Plain pointers, which the step's weights keep alive: threads that share projections count no references.
struct Projection {
  /// Where the panels are, or are to be made.
  private enum Place {
    case panels(UnsafeRawPointer)
    /// Rows in a file: each panel is made in the work space when it is needed.
    case rows(UnsafeRawPointer, ElementType)
    /// Rows in a file: each panel is made, for good, when it is needed.
    case packing(UnsafeRawPointer, ElementType, into: UnsafeMutableRawPointer, Unmanaged<InPlaceMatrix>)
  }

  /// Of a weight: what a product needs to know.
  private struct Matrix {
    let format: WeightFormat
    let columns: Int
    let panelBytes: Int
    let input: UnsafeRawPointer

    init(_ weight: Weight, _ input: UnsafeRawPointer) {
      format = weight.format
      columns = weight.columns
      panelBytes = weight.panelBytes
      self.input = input
    }

    func factor(_ panels: UnsafeRawPointer) -> MatmulFactor {
      MatmulFactor(panels: panels, format: format, columns: columns, panelBytes: panelBytes, input: input)
    }
  }

  private let matrix: Matrix
  private let place: Place
  private let adapter: (matrix: Matrix, panels: UnsafeRawPointer)?
  private let bias: UnsafePointer<Float>?
  private let accumulates: Bool
  private let output: UnsafeMutablePointer<Float>
  private let outputStride: Int
  let rows: Int
  let panelCount: Int

  /// - Parameters:
  ///   - input: x, packed for the weight's format.
  ///   - accumulates: adds to what `output` holds.
  ///   - adapter: U of the adapters and g ∘ (D·x), packed for its format; nil where no row is adapted.
  ///   - packs: where not nil, makes panels, in memory of this allocator, of a matrix that lies in its file; the runner
  ///     then calls `finish`.
  init(
    weight: Weight, bias: VectorWeight? = nil, input: UnsafeRawPointer, output: UnsafeMutablePointer<Float>,
    outputStride: Int, accumulates: Bool = false, adapter: (weight: Weight, input: UnsafeRawPointer)? = nil,
    packs: Allocator? = nil
  ) {
    matrix = Matrix(weight, input)
    rows = weight.rows
    panelCount = weight.panelCount
    self.bias = bias?.pointer
    self.output = output
    self.outputStride = outputStride
    self.accumulates = accumulates
    self.adapter = adapter.flatMap { adapter in
      adapter.weight.panels.map { (Matrix(adapter.weight, adapter.input), $0) }
    }
    place =
      switch weight.storage {
      case .panels(let buffer): .panels(UnsafeRawPointer(buffer.pointer))
      case .inPlace(let lying):
        if let panels = lying.panels {
          .panels(panels)
        } else if let packs, let target = lying.beginPacking(byteCount: weight.byteCount, allocator: packs) {
          .packing(lying.start, lying.type, into: target, Unmanaged.passUnretained(lying))
        } else {
          .rows(lying.start, lying.type)
        }
      }
  }

  var weightCount: Int { rows * matrix.columns }

  var isPlaced: Bool {
    if case .panels = place { true } else { false }
  }

  func finish(isWhole: Bool) {
    if case .packing(_, _, _, let lying) = place { lying._withUnsafeGuaranteedRef { $0.endPacking(isWhole: isWhole) } }
  }

  /// The rows of panels.
  func rows(of panels: Range<Int>) -> Range<Int> {
    panels.lowerBound * Kernels.panelRows..<min(panels.upperBound * Kernels.panelRows, rows)
  }

  /// Panels for the groups of `groupRange`: where they are not made yet, one.
  ///
  /// - Parameter scratch: room of this thread, `ProjectionRunner.scratchBytes`.
  func compute(
    _ panels: Range<Int>, groups: TokenGroups.View, groupRange: Range<Int>, kernels: Kernels,
    scratch: UnsafeMutableRawPointer
  ) {
    let rows = rows(of: panels)
    let first = panels.lowerBound
    let start: UnsafeRawPointer =
      switch place {
      case .panels(let start): start + first * matrix.panelBytes
      case .rows(let source, let type): pack(rows, of: source, type, into: scratch, kernels: kernels)
      case .packing(let source, let type, let target, _):
        pack(rows, of: source, type, into: target + first * matrix.panelBytes, kernels: kernels)
      }
    let output = output + rows.lowerBound
    let bias = bias.map { $0 + rows.lowerBound }
    kernels.matmul(
      weights: matrix.factor(start),
      adapter: adapter.map { $0.matrix.factor($0.panels + first * $0.matrix.panelBytes) },
      groups: groups, groupRange: groupRange, panels: 0..<panels.count, rows: rows.count,
      start: accumulates ? UnsafePointer(output) : bias, startStride: accumulates ? outputStride : 0, y: output,
      ldy: outputStride, scratch: scratch + matrix.panelBytes)
    guard let bias, accumulates else { return }
    for token in groups.tokens(groupRange) {
      kernels.add(x: output + token * outputStride, y: bias, count: rows.count)
    }
  }

  private func pack(
    _ rows: Range<Int>, of source: UnsafeRawPointer, _ type: ElementType, into target: UnsafeMutableRawPointer,
    kernels: Kernels
  ) -> UnsafeRawPointer {
    let columns = matrix.columns
    kernels.packRows(
      matrix.format, type: type, rows: source + rows.lowerBound * columns * type.byteCount, ld: columns,
      count: rows.count, columns: columns, range: 0..<columns, into: target)
    return UnsafeRawPointer(target)
  }
}
