import Kernels
import TestSupport
import Testing

/// A level and a weight format.
struct PanelCase: CustomTestStringConvertible, Sendable {
  let kernels: Kernels
  let format: WeightFormat

  var testDescription: String { "\(kernels.instructionSet.name), \(format.name)" }

  static let all = levels.flatMap { kernels in WeightFormat.allCases.map { PanelCase(kernels: kernels, format: $0) } }
}

extension WeightFormat {
  /// Numbers of a block; 1 where numbers stand alone.
  var blockLength: Int {
    switch self {
    case .f32, .f16, .bf16: 1
    case .q8_0, .q4_0: 32
    case .q8_128: 128
    }
  }
}

/// A matrix packed into panels that end at a page that may not be touched.
struct PackedMatrix {
  let kernels: Kernels
  let format: WeightFormat
  let rows: Int
  let columns: Int
  let panels: Fenced

  /// - Parameter type: of the source's numbers.
  init(
    _ test: PanelCase, _ values: [Float], rows: Int, columns: Int, type: ElementType = .f32, stretch: Int? = nil
  ) {
    (kernels, format, self.rows, self.columns) = (test.kernels, test.format, rows, columns)
    panels = Fenced(byteCount: kernels.matrixBytes(format, rows: rows, columns: columns))
    let source = Fenced(bytes: type.bytes(values))
    for panel in 0..<(rows + 31) / 32 {
      let count = min(32, rows - 32 * panel)
      for start in stride(from: 0, to: columns, by: stretch ?? max(columns, 1)) {
        kernels.packRows(
          format, type: type, rows: source.start + (32 * panel * columns + start) * type.byteCount, ld: columns,
          count: count, columns: columns, range: start..<min(start + (stretch ?? columns), columns),
          into: panels.start + panel * kernels.panelBytes(format, columns: columns))
      }
    }
  }

  func row(_ index: Int) -> [Float] {
    let out = Fenced(floats: columns)
    let panel = index / 32
    kernels.unpackRow(
      format, panel: panels.start + panel * kernels.panelBytes(format, columns: columns), row: index % 32,
      rows: min(32, rows - 32 * panel), columns: columns, into: out.floats)
    return out.values
  }

  /// The tokens of `x`, packed for this matrix's format.
  func input(_ x: [Float], groups: TokenGroups) -> Fenced {
    let input = Fenced(byteCount: groups.places * kernels.tokenBytes(format, columns: columns))
    let source = Fenced(x)
    for index in 0..<groups.count {
      kernels.packInput(
        format, x: source.floats, ldx: columns, columns: columns, groups: groups, index: index, into: input.start)
    }
    return input
  }

  /// x·Wᵀ, one row per token.
  func multiply(
    _ x: [Float], groups: TokenGroups, count: Int, start: [Float]? = nil, startStride: Int = 0,
    adapter: (matrix: PackedMatrix, x: [Float])? = nil, usesScratch: Bool = false
  ) -> [Float] {
    let packed = input(x, groups: groups)
    let y = Fenced(floats: count * rows)
    let first = start.map { Fenced($0) }
    let further = adapter.map { ($0.matrix, $0.matrix.input($0.x, groups: groups)) }
    let scratch = usesScratch ? Fenced(byteCount: 32 * 4 * columns) : nil
    func factor(_ matrix: PackedMatrix, _ input: Fenced) -> MatmulFactor {
      MatmulFactor(
        panels: matrix.panels.start, format: matrix.format, columns: matrix.columns,
        panelBytes: kernels.panelBytes(matrix.format, columns: matrix.columns), input: input.start)
    }
    groups.withView { groups in
      kernels.matmul(
        weights: factor(self, packed), adapter: further.map(factor), groups: groups, groupRange: 0..<groups.count,
        panels: 0..<(rows + 31) / 32, rows: rows, start: first.map { UnsafePointer($0.floats) },
        startStride: startStride, y: y.floats, ldy: rows, scratch: scratch?.start)
    }
    return y.values
  }
}
