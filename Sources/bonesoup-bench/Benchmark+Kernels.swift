import Kernels
import Platform
import Transformer

// The matrix product by itself, in the shapes of the model's layers.

extension Benchmark {
  /// Numbers of tokens at once: decoding, a batch, a prompt.
  private static let tokenCounts = [1, 16, 512]

  mutating func matrixKernels() throws(Failure) {
    guard let format = WeightFormat.allCases.first(where: { $0.name == weights.name }) else {
      throw Failure(message: "the kernels have no format \(weights.name)")
    }
    let kernels = Kernels.detect()
    let pool = ThreadPool(threadCount: threads, cpus: cpus)
    for (outputs, inputs) in matrixShapes {
      let bytes = (kernels.matrixBytes(format, rows: outputs, columns: inputs) + 63) / 64 * 64
      // So many that none is in a cache when its turn comes again.
      let copies = max(2, (options.buffer << 20) / 4 / max(1, bytes))
      guard let matrices = HugeMemory(byteCount: copies * bytes), let x = HugeMemory(byteCount: 520 * inputs * 8),
        let y = HugeMemory(byteCount: 512 * outputs * 4)
      else { throw Failure(message: "there is no memory for matrices; choose a smaller --buffer") }
      matrices.fill(with: 0x3c)
      x.fill(with: 0x3c)
      for tokens in Self.tokenCounts {
        let product = Product(
          kernels: kernels, format: format, outputs: outputs, inputs: inputs, tokens: tokens, pool: pool)
        let count = min(copies, max(4, 1024 / tokens))
        let times = try repeated { () throws(Failure) in
          Clock.time {
            for index in 0..<count { product.run(matrices.start + index * bytes, x.start, y.start) }
          } / Double(count)
        }
        add(times, outputs, inputs, tokens, bytes: Double(bytes))
      }
    }
  }

  private mutating func add(_ times: Samples, _ outputs: Int, _ inputs: Int, _ tokens: Int, bytes: Double) {
    let name = "matrix \(outputs) × \(inputs), \(tokens) token\(tokens == 1 ? "" : "s")"
    if tokens == 1 {
      report.add(name, times.map { bytes / $0 / 1e9 }, "GB/s") { $0.read / 1e9 }
    } else {
      let operations = 2 * Double(outputs) * Double(inputs) * Double(tokens)
      let arithmetic = weights.arithmetic
      report.add(name, times.map { operations / $0 / 1e9 }, arithmetic.isInteger ? "GOP/s" : "GFLOP/s") {
        min($0.peak(arithmetic), operations / bytes * $0.read) / 1e9
      }
    }
  }

  /// Of a block's layers, each once.
  private var matrixShapes: [(outputs: Int, inputs: Int)] {
    var shapes: [(outputs: Int, inputs: Int)] = []
    for role in LinearRole.allCases {
      let shape = shape.config.shape(of: role)
      if !shapes.contains(where: { $0 == shape }) { shapes.append(shape) }
    }
    return shapes
  }
}

/// y = W·x for a number of tokens, panels of W shared among threads; x is taken as packed.
private struct Product {
  let kernels: Kernels
  let format: WeightFormat
  let outputs: Int
  let inputs: Int
  let pool: ThreadPool
  private let groups: TokenGroups

  init(kernels: Kernels, format: WeightFormat, outputs: Int, inputs: Int, tokens: Int, pool: ThreadPool) {
    (self.kernels, self.format, self.outputs, self.inputs, self.pool) = (kernels, format, outputs, inputs, pool)
    groups = TokenGroups(tokens: tokens)
  }

  func run(_ matrix: UnsafeRawPointer, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer) {
    let panels = (outputs + Kernels.panelRows - 1) / Kernels.panelRows
    let scratchBytes = Kernels.panelRows * 4 * inputs
    pool.run(parts: pool.threadCount) { part in
      withUnsafeTemporaryAllocation(byteCount: scratchBytes, alignment: 64) { scratch in
        groups.withView { groups in
          kernels.matmul(
            weights: MatmulFactor(
              panels: matrix, format: format, columns: inputs,
              panelBytes: kernels.panelBytes(format, columns: inputs), input: x),
            adapter: nil, groups: groups, groupRange: 0..<groups.count,
            panels: panels * part / pool.threadCount..<panels * (part + 1) / pool.threadCount, rows: outputs,
            start: nil, startStride: 0, y: y.assumingMemoryBound(to: Float.self), ldy: outputs,
            scratch: scratch.baseAddress)
        }
      }
    }
  }
}
