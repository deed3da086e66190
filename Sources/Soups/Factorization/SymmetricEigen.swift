import Kernels
import Platform

/// Eigenvalues and eigenvectors of a symmetric matrix in f64.
///
/// Householder reduction to a tridiagonal matrix, implicit QL with Wilkinson's shift, and the reflections once more on the
/// eigenvectors (Golub & Van Loan, Matrix Computations, §8.3; EISPACK tred2 and tql2). About 9n³ operations in fixed order:
/// the same bits whatever the number of threads.
struct SymmetricEigen {
  let size: Int
  /// Descending, n of them.
  let values: Buffer
  /// [n × n], row i the unit eigenvector of value i.
  let vectors: Buffer

  private static let sweepLimit = 64
  /// Rows of one part of a reduction step, columns of one part of a batch of rotations.
  private static let partRows = 32
  private static let partColumns = 64

  /// Bytes of large memory that `init` takes beside the matrix, its result included.
  static func byteCount(size: Int) -> Int { 2 * size * size * 8 + 32 * size * 8 }

  /// - Parameter matrix: [n × n] row-major, symmetric and finite; destroyed.
  init(
    _ matrix: UnsafeMutablePointer<Double>, size: Int, kernels: Kernels, pool: ThreadPool, allocator: Allocator,
    monitor: Monitor
  ) throws(BoneSoupError) {
    self.size = size
    let purpose = "a decomposition"
    let work = try Buffer(of: Double.self, count: 4 * size, allocator: allocator, purpose: purpose)
    defer { withExtendedLifetime(work) {} }
    let (diagonal, beside) = (work.elements(Double.self), work.elements(Double.self) + size)
    let (scales, product) = (beside + size, beside + 2 * size)
    let steps = Steps(
      size: size, matrix: matrix, diagonal: diagonal, beside: beside, scales: scales, product: product,
      kernels: kernels, pool: pool)
    try steps.reduce(monitor: monitor)
    let rotated = try Buffer(of: Double.self, count: size * size, allocator: allocator, purpose: purpose)
    defer { withExtendedLifetime(rotated) {} }
    let z = rotated.elements(Double.self)
    z.update(repeating: 0, count: size * size)
    for index in 0..<size { z[index * size + index] = 1 }
    var rotations = try Vector<Double>(capacity: 16 * size, allocator: allocator, purpose: "rotations")
    try steps.iterate(z, rotations: &rotations, monitor: monitor)
    vectors = try Buffer(of: Double.self, count: size * size, allocator: allocator, purpose: purpose)
    values = try Buffer(of: Double.self, count: size, allocator: allocator, purpose: purpose)
    let order = (0..<size).sorted { (diagonal[$1], $0) < (diagonal[$0], $1) }
    for (place, index) in order.enumerated() {
      values.elements(Double.self)[place] = diagonal[index]
      (vectors.elements(Double.self) + place * size).update(from: z + index * size, count: size)
    }
    try steps.reflect(vectors.elements(Double.self), monitor: monitor)
  }

  /// The three stages over shared memory; rows are split over threads, each row's arithmetic is one thread's.
  private struct Steps: @unchecked Sendable {
    let size: Int
    /// Row k holds, from column k + 1 on, the vector of reflection k once it is made.
    let matrix: UnsafeMutablePointer<Double>
    let diagonal: UnsafeMutablePointer<Double>
    let beside: UnsafeMutablePointer<Double>
    let scales: UnsafeMutablePointer<Double>
    let product: UnsafeMutablePointer<Double>
    let kernels: Kernels
    let pool: ThreadPool

    private func forRows(from first: Int, _ body: (Int) -> Void) {
      let parts = (size - first + partRows - 1) / partRows
      pool.run(parts: parts) { part in
        let start = first + part * partRows
        for row in start..<min(start + partRows, size) { body(row) }
      }
    }

    func reduce(monitor: Monitor) throws(BoneSoupError) {
      for k in 0..<size {
        try monitor.check()
        diagonal[k] = matrix[k * size + k]
        scales[k] = 0
        beside[k] = 0
        let rest = size - k - 1
        guard rest > 0 else { break }
        let v = matrix + k * size + k + 1
        beside[k] = v[0]
        guard rest > 1 else { continue }
        let tail = kernels.dotDoubles(v + 1, v + 1, count: rest - 1)
        guard tail > 0 else { continue }
        let norm = (v[0] * v[0] + tail).squareRoot()
        beside[k] = v[0] > 0 ? -norm : norm
        v[0] -= beside[k]
        let scale = 2 / (tail + v[0] * v[0])
        guard scale.isFinite else { continue }
        scales[k] = scale
        forRows(from: k + 1) { row in
          product[row] = scale * kernels.dotDoubles(matrix + row * size + k + 1, v, count: rest)
        }
        let w = product + k + 1
        kernels.scaleAddDoubles(
          coefficient: -scale / 2 * kernels.dotDoubles(w, v, count: rest), x: v, count: rest, y: w)
        forRows(from: k + 1) { row in
          let target = matrix + row * size + k + 1
          kernels.scaleAddDoubles(coefficient: -v[row - k - 1], x: w, count: rest, y: target)
          kernels.scaleAddDoubles(coefficient: -w[row - k - 1], x: v, count: rest, y: target)
        }
      }
    }

    private struct Sweep {
      let start: Int
      let count: Int
      let top: Int
    }

    /// Makes the tridiagonal matrix diagonal; row i of z becomes its eigenvector i.
    func iterate(
      _ z: UnsafeMutablePointer<Double>, rotations: inout Vector<Double>, monitor: Monitor
    ) throws(BoneSoupError) {
      let (d, e) = (diagonal, beside)
      // As in tql2: of a matrix of low rank most of d is rounding noise, beside which no e would ever be small.
      var negligible = 0.0
      for index in 0..<size { negligible = max(negligible, 0x1p-52 * (d[index].magnitude + e[index].magnitude)) }
      var sweeps: [Sweep] = []
      for l in 0..<size {
        var tries = 0
        while true {
          var m = l
          while m < size - 1 {
            if e[m].magnitude <= negligible { break }
            m += 1
          }
          if m == l { break }
          tries += 1
          guard tries <= sweepLimit else { throw .internalFault("an eigenvalue did not converge") }
          let start = rotations.count
          let count = try sweep(from: m, to: l, rotations: &rotations)
          sweeps.append(Sweep(start: start, count: count, top: m - 1))
          if rotations.count > 12 * size {
            try monitor.check()
            apply(sweeps, rotations.elements, to: z)
            sweeps = []
            rotations.removeAll()
          }
        }
      }
      apply(sweeps, rotations.elements, to: z)
    }

    /// One implicit QL sweep over the rows l…m; returns how many rotations it made.
    private func sweep(from m: Int, to l: Int, rotations: inout Vector<Double>) throws(BoneSoupError) -> Int {
      let (d, e) = (diagonal, beside)
      var g = (d[l + 1] - d[l]) / (2 * e[l])
      let root = (g * g + 1).squareRoot()
      g = d[m] - d[l] + e[l] / (g + (g < 0 ? -root : root))
      var (s, c, p) = (1.0, 1.0, 0.0)
      var i = m - 1
      while i >= l {
        let (f, b) = (s * e[i], c * e[i])
        let r = (f * f + g * g).squareRoot()
        e[i + 1] = r
        guard r > 0 else {
          d[i + 1] -= p
          e[m] = 0
          return m - 1 - i
        }
        (s, c) = (f / r, g / r)
        g = d[i + 1] - p
        let t = (d[i] - g) * s + 2 * c * b
        p = s * t
        d[i + 1] = g + p
        g = c * t - b
        try rotations.append(c)
        try rotations.append(s)
        i -= 1
      }
      d[l] -= p
      e[l] = g
      e[m] = 0
      return m - l
    }

    private func apply(_ sweeps: [Sweep], _ rotations: UnsafePointer<Double>, to z: UnsafeMutablePointer<Double>) {
      guard !sweeps.isEmpty else { return }
      pool.run(parts: (size + partColumns - 1) / partColumns) { part in
        let column = part * partColumns
        for sweep in sweeps {
          kernels.rotateRows(
            rotations: rotations + sweep.start, count: sweep.count, z: z + column, ldz: size, top: sweep.top,
            columns: min(partColumns, size - column))
        }
      }
    }

    /// Eigenvectors of the tridiagonal matrix, in rows, become those of the matrix.
    func reflect(_ rows: UnsafeMutablePointer<Double>, monitor: Monitor) throws(BoneSoupError) {
      pool.run(parts: (size + 7) / 8) { part in
        if monitor.isCancelled { return }
        // Eight vectors stay in the first-level cache while a reflection passes over them.
        for k in stride(from: size - 3, through: 0, by: -1) where scales[k] != 0 {
          let v = matrix + k * size + k + 1
          for row in part * 8..<min(part * 8 + 8, size) {
            let target = rows + row * size + k + 1
            kernels.scaleAddDoubles(
              coefficient: -scales[k] * kernels.dotDoubles(target, v, count: size - k - 1), x: v,
              count: size - k - 1, y: target)
          }
        }
      }
      try monitor.check()
    }
  }
}
