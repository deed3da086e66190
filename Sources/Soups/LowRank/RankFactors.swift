import Checkpoints
import Kernels
import Platform
import Transformer

/// A matrix [rows × columns] of low rank as Σ_r left[r]ᵀ·right[r]: both factors rank by rank, in f32.
struct RankFactors: Sendable {
  let rank: Int
  let rows: Int
  let columns: Int
  /// [rank × rows] and [rank × columns].
  let left: Buffer
  let right: Buffer

  /// Uninitialised.
  init(rank: Int, rows: Int, columns: Int, engine: Engine) throws(BoneSoupError) {
    self.rank = rank
    self.rows = rows
    self.columns = columns
    left = try Self.block(rank, rows, engine)
    right = try Self.block(rank, columns, engine)
  }

  /// Room for `count` vectors of `length` numbers.
  static func block(_ count: Int, _ length: Int, _ engine: Engine) throws(BoneSoupError) -> Buffer {
    let (size, overflow) = count.multipliedReportingOverflow(by: length)
    guard !overflow else { throw .outOfMemory("the factors of a matrix need \(count) × \(length) numbers") }
    return try Buffer(of: Float.self, count: size, allocator: engine.allocator, purpose: "the factors of a matrix")
  }

  func left(_ index: Int) -> UnsafeMutablePointer<Float> { left.elements(Float.self) + index * rows }
  func right(_ index: Int) -> UnsafeMutablePointer<Float> { right.elements(Float.self) + index * columns }

  /// The adapters of one matrix one after another: their product is exactly Σ λᵢsᵢUᵢDᵢ.
  ///
  /// Ranks add up; λᵢsᵢ goes into U.
  init(
    joining modules: [(module: AdapterModule, coefficient: Double)], rows: Int, columns: Int, engine: Engine
  ) throws(BoneSoupError) {
    try self.init(
      rank: modules.reduce(0) { $0 + $1.module.rank }, rows: rows, columns: columns, engine: engine)
    var start = 0
    for (module, coefficient) in modules {
      // An embedding's D has the rows of the matrix, a linear layer's its columns.
      let isLinear = module.kind == .linear
      let down = isLinear ? right(start) : left(start)
      let up = isLinear ? left(start) : right(start)
      let outputs = isLinear ? rows : columns
      engine.kernels.widen(
        type: module.down.type, source: try module.down.start(), count: module.down.count, into: down)
      let source = try module.up.start()
      let bytes = module.up.type.byteCount
      let scaled = coefficient * module.scale
      let row = try Buffer(
        of: Float.self, count: module.rank, allocator: engine.allocator, purpose: "a row of an adapter")
      let values = row.elements(Float.self)
      for output in 0..<outputs {
        engine.kernels.widen(
          type: module.up.type, source: source + output * module.rank * bytes, count: module.rank, into: values)
        for index in 0..<module.rank { up[index * outputs + output] = Float(scaled * Double(values[index])) }
      }
      start += module.rank
    }
  }

  /// Both factors, transposed where a file has them so, as `type`.
  ///
  /// - Returns: [rank' × length] of the first, [length' × rank'] of the second, with zeros up to `rank'`.
  static func narrow(
    _ block: UnsafePointer<Float>, rank: Int, length: Int, padded: Int, isTransposed: Bool, type: ElementType,
    engine: Engine
  ) throws(BoneSoupError) -> Buffer {
    let buffer = try Buffer(
      byteCount: padded * length * type.byteCount, allocator: engine.allocator, purpose: "an adapter's factor")
    guard isTransposed else {
      engine.kernels.narrow(source: block, type: type, count: rank * length, into: buffer.pointer)
      // Zero is all bits 0 in every format.
      (buffer.pointer + rank * length * type.byteCount).initializeMemory(
        as: UInt8.self, repeating: 0, count: (padded - rank) * length * type.byteCount)
      return buffer
    }
    let line = try Buffer(of: Float.self, count: padded, allocator: engine.allocator, purpose: "a row of an adapter")
    let values = line.elements(Float.self)
    values.update(repeating: 0, count: padded)
    for place in 0..<length {
      for index in 0..<rank { values[index] = block[index * length + place] }
      engine.kernels.narrow(
        source: values, type: type, count: padded, into: buffer.pointer + place * padded * type.byteCount)
    }
    return buffer
  }

  /// What a file of `type` holds of them: each number rounded.
  func rounded(to type: ElementType, engine: Engine) throws(BoneSoupError) -> RankFactors {
    if type == .f32 { return self }
    let result = try RankFactors(rank: rank, rows: rows, columns: columns, engine: engine)
    let piece = 4096
    let line = try Buffer(
      byteCount: piece * type.byteCount, allocator: engine.allocator, purpose: "a row of an adapter")
    for (source, target, count) in [(left, result.left, rank * rows), (right, result.right, rank * columns)] {
      for start in stride(from: 0, to: count, by: piece) {
        let length = min(piece, count - start)
        engine.kernels.narrow(
          source: source.elements(Float.self) + start, type: type, count: length, into: line.pointer)
        engine.kernels.widen(
          type: type, source: line.pointer, count: length, into: target.elements(Float.self) + start)
      }
    }
    return result
  }
}
