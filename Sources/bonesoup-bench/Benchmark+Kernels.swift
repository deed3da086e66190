import Kernels
import Platform
import Transformer

// The matrix product by itself, in the shapes of the model's layers.

extension Benchmark {
  /// Numbers of tokens at once: decoding, a batch, a prompt.
  private static let tokenCounts = [1, 16, 512]

  mutating func matrixKernels() throws(Failure) {
    guard let type = ElementType.allCases.first(where: { $0.name == weights.name }) else {
      throw Failure(message: "the kernels have no format \(weights.name)")
    }
    let pool = ThreadPool(threadCount: threads, cpus: cpus)
    for (outputs, inputs) in matrixShapes {
      let bytes = outputs * inputs * type.byteCount
      // So many that none is in a cache when its turn comes again.
      let copies = max(2, (options.buffer << 20) / 4 / max(1, bytes))
      guard let matrices = HugeMemory(byteCount: copies * bytes), let x = HugeMemory(byteCount: 512 * inputs * 4),
        let y = HugeMemory(byteCount: 512 * outputs * 4)
      else { throw Failure(message: "there is no memory for matrices; choose a smaller --buffer") }
      matrices.fill(with: 0x3c)
      x.fill(with: 0x3c)
      for tokens in Self.tokenCounts {
        let product = Product(type: type, outputs: outputs, inputs: inputs, tokens: tokens, pool: pool)
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
      report.add(name, times.map { operations / $0 / 1e9 }, arithmetic == .int8 ? "GOP/s" : "GFLOP/s") {
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

/// y = W·x for a number of tokens, its rows shared among threads.
private struct Product {
  let type: ElementType
  let outputs: Int
  let inputs: Int
  let tokens: Int
  let pool: ThreadPool

  private let kernels = Kernels.detect()

  init(type: ElementType, outputs: Int, inputs: Int, tokens: Int, pool: ThreadPool) {
    (self.type, self.outputs, self.inputs, self.tokens, self.pool) = (type, outputs, inputs, tokens, pool)
  }

  func run(_ matrix: UnsafeRawPointer, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer) {
    let each = (outputs + pool.threadCount - 1) / pool.threadCount
    pool.run(parts: pool.threadCount) { part in
      let first = part * each
      let count = min(each, outputs - first)
      guard count > 0 else { return }
      kernels.matmul(
        x: x.assumingMemoryBound(to: Float.self), ldx: inputs, m: tokens,
        w: matrix + first * inputs * type.byteCount, type: type, ldw: inputs, n: count, k: inputs,
        y: y.assumingMemoryBound(to: Float.self) + first, ldy: outputs, accumulate: false)
    }
  }
}
