import Checkpoints
public import Kernels
public import Platform

/// A matrix of the model in its run-time form, `rows` × `columns`: in panels, or still where it lies in its
/// file, in which case the forward pass makes the panels when it is worth it.
public struct Weight: Sendable {
  enum Storage: Sendable {
    case panels(Buffer)
    case inPlace(InPlaceMatrix)
  }

  public let rows: Int
  public let columns: Int
  public let format: WeightFormat
  /// Of a whole panel.
  public let panelBytes: Int
  /// In run-time form; rows that fill up the last panel are counted.
  public let byteCount: Int
  let storage: Storage

  private init(rows: Int, columns: Int, format: WeightFormat, kernels: Kernels, storage: Storage) {
    self.rows = rows
    self.columns = columns
    self.format = format
    self.storage = storage
    panelBytes = kernels.panelBytes(format, columns: columns)
    byteCount = kernels.matrixBytes(format, rows: rows, columns: columns)
  }

  /// - Parameter panels: all panels of the matrix, one after the other.
  public init(rows: Int, columns: Int, format: WeightFormat, panels: Buffer, kernels: Kernels) {
    self.init(rows: rows, columns: columns, format: format, kernels: kernels, storage: .panels(panels))
  }

  /// A matrix that is used where it lies: its file has the run-time format.
  init(_ tensor: TensorView, rows: Int, columns: Int, kernels: Kernels) throws(BoneSoupError) {
    self.init(
      rows: rows, columns: columns, format: WeightFormat(tensor.type), kernels: kernels,
      storage: .inPlace(try InPlaceMatrix(tensor)))
  }

  /// A small matrix packed from f32, here and now.
  init(
    _ values: UnsafePointer<Float>, rows: Int, columns: Int, format: WeightFormat, engine: Engine,
    purpose: @autoclosure () -> String
  ) throws(BoneSoupError) {
    let panels = try Self.makePanels(
      rows: rows, columns: columns, format: format, engine: engine, purpose: purpose())
    self.init(rows: rows, columns: columns, format: format, panels: panels, kernels: engine.kernels)
    for panel in 0..<panelCount {
      let rows = self.rows(ofPanel: panel)
      engine.kernels.packRows(
        format, type: .f32, rows: values + rows.lowerBound * columns, ld: columns, count: rows.count,
        columns: columns, range: 0..<columns, into: panels.pointer + panel * panelBytes)
    }
  }

  /// Room for the panels of a matrix.
  public static func makePanels(
    rows: Int, columns: Int, format: WeightFormat, engine: Engine, purpose: @autoclosure () -> String
  ) throws(BoneSoupError) -> Buffer {
    try Buffer(
      byteCount: engine.kernels.matrixBytes(format, rows: rows, columns: columns), allocator: engine.allocator,
      purpose: purpose())
  }

  public var panelCount: Int { (rows + Kernels.panelRows - 1) / Kernels.panelRows }
  /// The rows of a panel.
  public func rows(ofPanel index: Int) -> Range<Int> {
    index * Kernels.panelRows..<min((index + 1) * Kernels.panelRows, rows)
  }

  /// The panels, where they are made.
  var panels: UnsafeRawPointer? {
    switch storage {
    case .panels(let buffer): UnsafeRawPointer(buffer.pointer)
    case .inPlace(let matrix): matrix.panels
    }
  }

  /// Whether both are the same object.
  func isSame(as other: Weight) -> Bool {
    switch (storage, other.storage) {
    case (.panels(let a), .panels(let b)): a === b
    case (.inPlace(let a), .inPlace(let b)): a === b
    default: false
    }
  }

  /// Row `index`, which the caller has checked, as f32.
  func unpack(row index: Int, kernels: Kernels, into out: UnsafeMutablePointer<Float>) {
    switch storage {
    case .panels(let buffer):
      let panel = index / Kernels.panelRows
      kernels.unpackRow(
        format, panel: buffer.pointer + panel * panelBytes, row: index % Kernels.panelRows,
        rows: rows(ofPanel: panel).count, columns: columns, into: out)
    case .inPlace(let matrix):
      kernels.widen(
        type: matrix.type, source: matrix.start + index * columns * matrix.type.byteCount, count: columns, into: out)
    }
  }
}

/// A vector of the model: norm weights and biases stay in f32 whatever the run-time format, since they are few.
public struct VectorWeight: @unchecked Sendable {
  public let count: Int
  public let pointer: UnsafePointer<Float>
  let owner: Buffer

  public init(_ buffer: Buffer, count: Int) {
    self.count = count
    pointer = UnsafePointer(buffer.elements(Float.self))
    owner = buffer
  }
}

/// A linear layer: y = W·x + b, W being [out × in].
public struct Linear: Sendable {
  public let weight: Weight
  public let bias: VectorWeight?
}
