import Platform

/// Model stock (arXiv 2403.19522): from the base towards the models' mean, as far as the angles between the task vectors
/// say; each tensor as one vector, or each row.
struct ModelStock: MergeMethod {
  let declaration = MethodDeclaration(
    "model_stock", "from the base towards the models' mean, by the angles between them", base: .required,
    models: 2...MethodDeclaration.modelLimit, negative: .ignored,
    [MethodParameter("filter_wise", .flag, default: 0, "each row by itself")])

  func byteCount(_ shape: MergeShape) -> Int {
    let n = shape.modelCount
    return 8 * n * n * shape.blockCount(ofRows: false) + shape.blockBytes(buffers: n + 1, ofRows: true)
      + shape.blockBytes(buffers: n + 1)
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let n = tensor.models.count
    let isByRow = tensor.values.flag("filter_wise")
    var whole = 0.0
    if !isByRow {
      let blocks = tensor.shape.blockCount(ofRows: false)
      let memory = try Buffer(
        of: Double.self, count: n * n * blocks, allocator: tensor.engine.allocator, purpose: "inner products")
      defer { withExtendedLifetime(memory) {} }
      let parts = memory.elements(Double.self)
      try tensor.forBlocks(buffers: n + 1) { (block) throws(BoneSoupError) in
        try read(tensor, block)
        for (index, product) in products(tensor, block, 0, block.count).enumerated() {
          parts[index * blocks + block.index] = product
        }
      }
      whole = share((0..<n * n).map { row in (0..<blocks).reduce(0.0) { $0 + parts[row * blocks + $1] } }, n)
    }
    try tensor.forBlocks(buffers: n + 1, ofRows: isByRow) { (block) throws(BoneSoupError) in
      try read(tensor, block)
      let length = isByRow ? tensor.shape.rowLength : block.count
      for start in stride(from: 0, to: block.count, by: length) {
        let t = isByRow ? share(products(tensor, block, start, length), n) : whole
        mix(tensor, block, start, length, t)
      }
      try tensor.write(block.buffer(0), block)
    }
  }

  private func read(_ tensor: MergeTensor, _ block: MergeTensor.Block) throws(BoneSoupError) {
    try tensor.readBase(block, into: block.buffer(0))
    for model in tensor.models.indices {
      try tensor.readDelta(model, block, base: block.buffer(0), into: block.buffer(model + 1))
    }
  }

  /// ΔᵢᵀΔⱼ for i ≤ j, n × n of them.
  private func products(
    _ tensor: MergeTensor, _ block: MergeTensor.Block, _ start: Int, _ count: Int
  ) -> [Double] {
    let n = tensor.models.count
    var products = [Double](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in i..<n {
        products[i * n + j] = tensor.kernels.productSum(
          block.buffer(i + 1) + start, block.buffer(j + 1) + start, count: count)
      }
    }
    return products
  }

  /// n·c / (1 + (n − 1)·c) with c the mean cosine; 0, the base, where that has no finite value.
  private func share(_ products: [Double], _ n: Int) -> Double {
    var sum = 0.0
    for i in 0..<n {
      for j in i + 1..<max(n, i + 1) {
        let lengths = (products[i * n + i].squareRoot() * products[j * n + j].squareRoot())
        sum += min(max(products[i * n + j] / max(lengths, 1e-6), -1), 1)
      }
    }
    let cosine = sum / Double(n * (n - 1) / 2)
    let divisor = 1 + Double(n - 1) * cosine
    return divisor.magnitude < 1e-6 ? 0 : Double(n) * cosine / divisor
  }

  /// θ₀ + t·mean(Δ), which is t·mean(θ) + (1 − t)·θ₀, into buffer 0.
  private func mix(
    _ tensor: MergeTensor, _ block: MergeTensor.Block, _ start: Int, _ count: Int, _ t: Double
  ) {
    let n = tensor.models.count
    let base = block.buffer(0) + start
    let mean = block.buffer(1) + start
    for model in 1..<n {
      tensor.kernels.add(x: mean, y: block.buffer(model + 1) + start, count: count)
    }
    tensor.kernels.divide(mean, by: Float(n), count: count)
    tensor.kernels.combine(mean, times: Float(t), base, times: 1, count: count, into: base)
  }
}
