import Kernels
import Platform

/// SCE (arXiv 2408.07990): the elements in which the task vectors vary most, weighted by each model's energy there, with the
/// election of signs.
struct Sce: MergeMethod {
  let declaration = MethodDeclaration(
    "sce", "select by variance, weigh by energy, elect a sign", base: .required, negative: .ignored,
    [
      MethodParameter("select_topk", default: 1, range: 0...1, "share of the elements that are selected"),
      .int8Mask,
    ])

  func byteCount(_ shape: MergeShape) -> Int {
    let n = shape.modelCount
    return MagnitudeBands.byteCount(shape, streams: 1, buffers: n + 2) + 8 * n * shape.blockCount(ofRows: false)
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let n = tensor.models.count
    let share = tensor.values.number("select_topk")
    let kernels = tensor.kernels
    var band: MagnitudeBand?
    if share > 0, share < 1 {
      let search = MagnitudeBands(
        tensor: tensor, streams: 1,
        fill: { (block, stream) throws(BoneSoupError) in
          try read(tensor, block)
          withDeltas(block, n) { kernels.variance($0, n: n, count: block.count, into: stream(0)) }
        }, buffers: n + 2, first: n + 1)
      band = try search.find { (_, zeros) in (Int(Double(tensor.count - zeros) * share), 0) }.first
    }
    func readSelected(_ block: MergeTensor.Block) throws(BoneSoupError) {
      try read(tensor, block)
      if let band {
        let variance = block.buffer(n + 1)
        withDeltas(block, n) { kernels.variance($0, n: n, count: block.count, into: variance) }
        band.keep(variance, block: block.index, count: block.count, kernels: kernels)
        for model in 1...n { kernels.keepChosen(block.buffer(model), chosen: variance, count: block.count) }
      } else if share <= 0 {
        for model in 1...n { block.buffer(model).update(repeating: 0, count: block.count) }
      }
    }
    let blocks = tensor.shape.blockCount(ofRows: false)
    let memory = try Buffer(
      of: Double.self, count: n * blocks, allocator: tensor.engine.allocator, purpose: "the sums of blocks")
    defer { withExtendedLifetime(memory) {} }
    let squares = memory.elements(Double.self)
    try tensor.forBlocks(buffers: n + 2) { (block) throws(BoneSoupError) in
      try readSelected(block)
      for model in 0..<n {
        let x = block.buffer(model + 1)
        squares[model * blocks + block.index] = kernels.productSum(x, x, count: block.count)
      }
    }
    let energies = (0..<n).map { model in
      Float((0..<blocks).reduce(0.0) { $0 + squares[model * blocks + $1] } / Double(max(tensor.count, 1)))
    }
    let total = energies.reduce(0, +)
    let factors: [Float] = energies.flatMap { energy -> [Float] in
      let weight = total.magnitude < 1e-6 ? 1 / Float(n) : energy / total
      return [1, 1, weight, weight]
    }
    try tensor.forBlocks(buffers: n + 2) { (block) throws(BoneSoupError) in
      try readSelected(block)
      withDeltas(block, n) { deltas in
        kernels.mergeDeltas(
          deltas, factors: factors, n: n, flags: [.elect, .normalize, .floor], divisor: 1e-6, lambda: 1,
          base: block.buffer(0), count: block.count, into: block.buffer(0))
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
}
