import Kernels
import Platform
import Transformer

// Whole task matrices in memory, for the methods that decompose them.

extension MergeTensor {
  /// Σ over `models` of weight·Δ, f32, row by row.
  func taskMatrix(_ models: Range<Int>) throws(BoneSoupError) -> Buffer {
    let matrix = try Buffer(
      of: Float.self, count: count, allocator: engine.allocator, purpose: "the task matrix of \(name)")
    let out = matrix.elements(Float.self)
    try forBlocks(buffers: 2) { (block) throws(BoneSoupError) in
      let (base, delta) = (block.buffer(0), block.buffer(1))
      try readBase(block, into: base)
      for model in models {
        try readDelta(model, block, base: base, into: delta)
        let weight = Float(values.number("weight", model: model))
        let target = out + block.range.lowerBound
        if model == models.lowerBound {
          kernels.scale(coefficient: weight, type: .f32, source: delta, count: block.count, into: target)
        } else {
          kernels.scaleAdd(coefficient: weight, type: .f32, source: delta, count: block.count, into: target)
        }
      }
    }
    return matrix
  }

  /// Writes θ₀ + lambda·matrix.
  func finish(_ matrix: Buffer) throws(BoneSoupError) {
    let lambda = Float(values.number("lambda"))
    try forBlocks(buffers: 1) { (block) throws(BoneSoupError) in
      let base = block.buffer(0)
      try readBase(block, into: base)
      kernels.scaleAdd(
        coefficient: lambda, type: .f32, source: matrix.elements(Float.self) + block.range.lowerBound,
        count: block.count, into: base)
      try write(base, block)
    }
  }

  /// The matrix, or its transpose where that is the taller.
  func tall(_ matrix: Buffer, rows: Int, columns: Int) throws(BoneSoupError) -> Buffer {
    guard rows < columns else { return matrix }
    return try transposed(matrix, rows: rows, columns: columns)
  }

  func transposed(_ matrix: Buffer, rows: Int, columns: Int) throws(BoneSoupError) -> Buffer {
    defer { withExtendedLifetime(matrix) {} }
    return try SVD.transposed(
      matrix.elements(Float.self), rows: rows, columns: columns, engine: engine, pool: pool, monitor: monitor)
  }

  /// The matrix with other singular values.
  func spectrum(
    _ gram: GramEigen, of tall: Buffer, gain: (_ index: Int, _ value: Double) -> Double
  ) throws(BoneSoupError) -> Buffer {
    defer { withExtendedLifetime(tall) {} }
    return try gram.spectrum(
      of: tall.elements(Float.self), engine: engine, pool: pool, monitor: monitor, gain: gain)
  }

  func decomposed(_ matrix: Buffer, rows: Int, columns: Int, limit: SVD.Limit) throws(BoneSoupError) -> SVD {
    defer { withExtendedLifetime(matrix) {} }
    return try SVD.whole(
      matrix.elements(Float.self), rows: rows, columns: columns, limit: limit, engine: engine, pool: pool,
      monitor: monitor)
  }

  func gram(_ tall: Buffer, rows: Int, columns: Int) throws(BoneSoupError) -> GramEigen {
    defer { withExtendedLifetime(tall) {} }
    do {
      return try GramEigen(
        tall.elements(Float.self), rows: rows, columns: columns, kernels: kernels, pool: pool,
        allocator: engine.allocator, monitor: monitor)
    } catch {
      if case .malformed(let text) = error { throw .malformed("\(name): \(text)") }
      throw error
    }
  }
}

/// A tensor in memory as a model's task vector.
struct TaskMatrixSource: TensorSource {
  let memory: Buffer
  var isDelta: Bool { true }

  func read(
    _ range: Range<Int>, into values: UnsafeMutablePointer<Float>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) {
    values.update(from: memory.elements(Float.self) + range.lowerBound, count: range.count)
  }
}

/// A merged tensor in memory.
struct TaskMatrixSink: TensorSink {
  let memory: Buffer

  func write(
    _ values: UnsafePointer<Float>, _ range: Range<Int>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) {
    (memory.elements(Float.self) + range.lowerBound).update(from: values, count: range.count)
  }
}
