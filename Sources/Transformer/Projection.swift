import Kernels
import Platform

/// One matrix product of a step: `output` = W·x + b for all its rows, further columns U·r of adapted rows included.
struct Projection {
  let weight: Weight
  let bias: VectorWeight?
  /// x, packed for the weight's format.
  let input: UnsafeRawPointer
  /// Adds to what `output` holds.
  let accumulates: Bool
  let output: UnsafeMutablePointer<Float>
  let outputStride: Int
  /// U of the adapters and g ∘ (D·x), packed for its format; nil where no row is adapted.
  let adapter: (weight: Weight, input: UnsafeRawPointer)?

  init(
    weight: Weight, bias: VectorWeight? = nil, input: UnsafeRawPointer, output: UnsafeMutablePointer<Float>,
    outputStride: Int, accumulates: Bool = false, adapter: (weight: Weight, input: UnsafeRawPointer)? = nil
  ) {
    self.weight = weight
    self.bias = bias
    self.input = input
    self.output = output
    self.outputStride = outputStride
    self.accumulates = accumulates
    self.adapter = adapter
  }

  var multiplicationsPerToken: Int { weight.rows * weight.columns }
}

/// A projection whose weight's place is settled for the length of a run.
struct PlacedProjection {
  /// Where the panels are, or are to be made.
  enum Place {
    case panels(UnsafeRawPointer)
    /// Rows in a file: each panel is made in the work space when it is needed.
    case rows(InPlaceMatrix)
    /// Rows in a file: each panel is made, for good, when it is needed.
    case packing(InPlaceMatrix, into: UnsafeMutableRawPointer)
  }

  let projection: Projection
  let place: Place

  /// - Parameter packs: makes panels of a matrix that lies in its file.
  init(_ projection: Projection, packs: Bool, allocator: Allocator) {
    self.projection = projection
    let weight = projection.weight
    place =
      switch weight.storage {
      case .panels(let buffer): .panels(UnsafeRawPointer(buffer.pointer))
      case .inPlace(let matrix):
        if let panels = matrix.panels {
          .panels(panels)
        } else if packs, let target = matrix.beginPacking(byteCount: weight.byteCount, allocator: allocator) {
          .packing(matrix, into: target)
        } else {
          .rows(matrix)
        }
      }
  }

  var isPlaced: Bool {
    if case .panels = place { true } else { false }
  }

  func finish(isWhole: Bool) {
    if case .packing(let matrix, _) = place { matrix.endPacking(isWhole: isWhole) }
  }

  /// One panel for the groups of `groupRange`.
  ///
  /// - Parameter scratch: room of this thread, `ProjectionRunner.scratchBytes`.
  func compute(
    panel: Int, groups: TokenGroups, groupRange: Range<Int>, kernels: Kernels, scratch: UnsafeMutableRawPointer
  ) {
    let weight = projection.weight
    let rows = weight.rows(ofPanel: panel)
    let start: UnsafeRawPointer =
      switch place {
      case .panels(let panels): panels + panel * weight.panelBytes
      case .rows(let matrix): pack(rows, of: matrix, into: scratch, kernels: kernels)
      case .packing(let matrix, let target):
        pack(rows, of: matrix, into: target + panel * weight.panelBytes, kernels: kernels)
      }
    let output = projection.output + rows.lowerBound
    let bias = projection.bias.map { $0.pointer + rows.lowerBound }
    kernels.matmul(
      weights: MatmulFactor(panels: start, format: weight.format, columns: weight.columns, input: projection.input),
      adapter: projection.adapter.flatMap { adapter in
        adapter.weight.panels.map {
          MatmulFactor(
            panels: $0 + panel * adapter.weight.panelBytes, format: adapter.weight.format,
            columns: adapter.weight.columns, input: adapter.input)
        }
      },
      groups: groups, groupRange: groupRange, panels: 0..<1, rows: rows.count,
      start: projection.accumulates ? UnsafePointer(output) : bias,
      startStride: projection.accumulates ? projection.outputStride : 0, y: output, ldy: projection.outputStride,
      scratch: scratch + weight.panelBytes)
    guard let bias, projection.accumulates else { return }
    for index in groupRange {
      for token in groups.tokens(index) {
        kernels.add(x: output + token * projection.outputStride, y: bias, count: rows.count)
      }
    }
  }

  private func pack(
    _ rows: Range<Int>, of matrix: InPlaceMatrix, into target: UnsafeMutableRawPointer, kernels: Kernels
  ) -> UnsafeRawPointer {
    let weight = projection.weight
    kernels.packRows(
      weight.format, type: matrix.type, rows: matrix.start + rows.lowerBound * weight.columns * matrix.type.byteCount,
      ld: weight.columns, count: rows.count, columns: weight.columns, range: 0..<weight.columns, into: target)
    return UnsafeRawPointer(target)
  }
}
