import Kernels
import Platform
import Transformer

/// One matrix made low-rank, to a rank or to an error.
struct MatrixFactoring {
  let matrix: TermSum
  let options: FactoringOptions
  let engine: Engine
  let monitor: Monitor
  /// Names the matrix in messages.
  let name: String

  struct Outcome {
    /// As the file's format holds them.
    let factors: RankFactors
    let norm: Double
    let lost: Double
  }

  /// nil where the matrix is 0.
  func run() throws(BoneSoupError) -> Outcome? {
    let square = try matrix.squares(engine: engine, monitor: monitor)
    guard square.isFinite else {
      throw .malformed("the change of \(name) holds NaN or infinity, or overflows f32")
    }
    guard square > 0 else { return nil }
    if let rank = options.rank {
      let limit = min(rank, smaller)
      let factors = try subspace(limit == smaller ? limit : limit + SubspaceIteration.oversampling, nil)
      let eigen = try factors.spectrum(engine: engine, monitor: monitor)
      return try outcome(try factors.leading(limit, of: eigen, engine: engine), square)
    }
    return try runToError(square)
  }

  private var smaller: Int { min(matrix.rows, matrix.columns) }

  /// Doubles the subspace until what it leaves out is small enough, takes the fewest directions, and measures.
  private func runToError(_ square: Double) throws(BoneSoupError) -> Outcome {
    let allowed = options.maximumError * options.maximumError * square
    var count = min(32, smaller)
    var earlier: RankFactors?
    while true {
      let factors = try subspace(count, earlier)
      let eigen = try factors.spectrum(engine: engine, monitor: monitor)
      var left = square
      var rank = 0
      while rank < factors.rank, left > allowed {
        left -= max(0, eigen.values.elements(Double.self)[rank])
        rank += 1
      }
      // The sums are good to some 1e-7 of the whole; only the measured error counts. The last directions of a subspace
      // are its worst, and many of them mean that a larger one would need fewer.
      if left <= allowed, rank + SubspaceIteration.oversampling <= factors.rank || factors.rank == smaller {
        var tried = max(rank, 1)
        while true {
          let found = try outcome(try factors.leading(tried, of: eigen, engine: engine), square)
          if found.lost <= options.maximumError * found.norm { return found }
          if tried == factors.rank { break }
          tried = min(factors.rank, tried + max(1, tried / 8))
        }
      }
      guard factors.rank < smaller else {
        let found = try outcome(factors, square)
        if found.lost <= options.maximumError * found.norm { return found }
        throw .unsupported(
          "\(name) keeps an error of \(found.lost / found.norm) at full rank in \(options.type.name), above max_error "
            + "\(options.maximumError); "
            + (options.type == .f32 ? "allow a larger one" : "allow a larger one, or write f32"))
      }
      earlier = factors
      count = min(2 * count, smaller)
    }
  }

  private func subspace(_ count: Int, _ earlier: RankFactors?) throws(BoneSoupError) -> RankFactors {
    try SubspaceIteration(matrix: matrix, engine: engine, monitor: monitor)
      .factors(count: min(count, smaller), earlier: earlier)
  }

  /// Rounds to the file's format and measures what is lost.
  private func outcome(_ factors: RankFactors, _ square: Double) throws(BoneSoupError) -> Outcome {
    let rounded = try factors.rounded(to: options.type, engine: engine)
    var rest = matrix
    rest.products.append((rounded, -1))
    let lost = try rest.squares(engine: engine, monitor: monitor)
    guard lost.isFinite else {
      throw .unsupported("the factors of \(name) do not fit \(options.type.name); write bf16 or f32")
    }
    return Outcome(factors: rounded, norm: square.squareRoot(), lost: lost.squareRoot())
  }
}
