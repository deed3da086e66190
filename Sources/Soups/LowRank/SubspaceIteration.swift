import Kernels
import Platform
import Transformer

/// A matrix's leading left and right directions, by randomised subspace iteration (Halko, Martinsson & Tropp 2011,
/// algorithms 4.4 and 5.1): the matrix is read row by row a few times and never held.
struct SubspaceIteration {
  let matrix: TermSum
  let engine: Engine
  let monitor: Monitor

  /// Directions beyond those wanted, and rounds beyond the first: together they bring the error within a per cent of
  /// the least one also where the singular values fall slowly.
  static let oversampling = 8
  private static let rounds = 2

  private var rows: Int { matrix.rows }
  private var columns: Int { matrix.columns }

  /// Factors whose left vectors are orthonormal and whose right ones are the matrix's product with them.
  ///
  /// - Parameters:
  ///   - count: of directions, at most the smaller dimension; equal to it, the product is the matrix itself.
  ///   - earlier: directions to begin with, from a smaller count.
  func factors(count: Int, earlier: RankFactors?) throws(BoneSoupError) -> RankFactors {
    let result = try RankFactors(rank: count, rows: rows, columns: columns, engine: engine)
    seed(result.right.elements(Float.self), count: count, earlier: earlier)
    for round in 0...Self.rounds {
      try multiplyRows(by: result.right.elements(Float.self), count: count, into: result.left.elements(Float.self))
      try orthonormalize(
        result.left.elements(Float.self), count: count, length: rows, engine: engine, monitor: monitor)
      try multiplyColumns(by: result.left.elements(Float.self), count: count, into: result.right.elements(Float.self))
      if round < Self.rounds {
        try orthonormalize(
          result.right.elements(Float.self), count: count, length: columns, engine: engine, monitor: monitor)
      }
    }
    return result
  }

  /// Starts from known directions, and from numbers of a fixed generator for the rest.
  private func seed(_ vectors: UnsafeMutablePointer<Float>, count: Int, earlier: RankFactors?) {
    var start = 0
    if let earlier {
      start = min(earlier.rank, count)
      vectors.update(from: earlier.right.elements(Float.self), count: start * columns)
    }
    for vector in start..<count {
      // SplitMix64 (Steele et al. 2014). The sum of four uniform numbers is near enough to normal.
      var state = UInt64(vector) &* 0xD134_2543_DE82_EF95 &+ 0x2545_F491_4F6C_DD1D
      for place in 0..<columns {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        var sum: Int64 = 0
        for part in 0..<4 { sum &+= Int64(mixed >> UInt64(16 &* part) & 0xFFFF) }
        vectors[vector * columns + place] = Float(sum - 131_070) / 65_536
      }
    }
  }

  /// out[j] = matrix · vectors[j], for vectors of `columns` numbers.
  private func multiplyRows(
    by vectors: UnsafePointer<Float>, count: Int, into out: UnsafeMutablePointer<Float>
  ) throws(BoneSoupError) {
    let height = 512
    let width = 128
    let workers = Workers(pool: engine.pool, count: (rows + height - 1) / height)
    let tiles = try RankFactors.block(workers.slotCount, 2 * height * width, engine)
    workers.run(monitor: monitor) { part, slot in
      let straight = tiles.elements(Float.self) + slot * 2 * height * width
      let turned = straight + height * width
      let first = part * height
      let tall = min(height, rows - first)
      for vector in 0..<count { (out + vector * rows + first).update(repeating: 0, count: tall) }
      for column in stride(from: 0, to: columns, by: width) {
        let wide = min(width, columns - column)
        for row in 0..<tall {
          matrix.compute(row: first + row, stretch: column..<column + wide, into: straight + row * width)
        }
        for row in 0..<tall {
          for place in 0..<wide { turned[place &* height &+ row] = straight[row &* width &+ place] }
        }
        for vector in 0..<count {
          for place in 0..<wide {
            engine.kernels.scaleAdd(
              coefficient: vectors[vector * columns + column + place], type: .f32, source: turned + place * height,
              count: tall, into: out + vector * rows + first)
          }
        }
      }
    }
    try monitor.check()
  }

  /// out[j] = vectors[j] · matrix, for vectors of `rows` numbers.
  private func multiplyColumns(
    by vectors: UnsafePointer<Float>, count: Int, into out: UnsafeMutablePointer<Float>
  ) throws(BoneSoupError) {
    let width = 256
    let height = 128
    let workers = Workers(pool: engine.pool, count: (columns + width - 1) / width)
    let tiles = try RankFactors.block(workers.slotCount, height * width, engine)
    workers.run(monitor: monitor) { part, slot in
      let values = tiles.elements(Float.self) + slot * height * width
      let first = part * width
      let wide = min(width, columns - first)
      for vector in 0..<count { (out + vector * columns + first).update(repeating: 0, count: wide) }
      for row in stride(from: 0, to: rows, by: height) {
        if monitor.isCancelled { return }
        let tall = min(height, rows - row)
        for place in 0..<tall {
          matrix.compute(row: row + place, stretch: first..<first + wide, into: values + place * width)
        }
        for vector in 0..<count {
          for place in 0..<tall {
            engine.kernels.scaleAdd(
              coefficient: vectors[vector * rows + row + place], type: .f32, source: values + place * width,
              count: wide, into: out + vector * columns + first)
          }
        }
      }
    }
    try monitor.check()
  }
}
