import Kernels
import Platform
import Synchronization

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
    return MagnitudeBands.byteCount(shape, streams: 1, buffers: n + 2, cuts: 1)
      + BandPlaces.byteCount(shape, bands: 1) + 8 * (n + 1) * shape.blockCount(ofRows: false)
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let n = tensor.models.count
    let share = tensor.values.number("select_topk")
    let kernels = tensor.kernels
    let places = share > 0 && share < 1 ? try places(tensor, share) : nil
    func readSelected(_ block: MergeTensor.Block) throws(BoneSoupError) {
      let variance = block.buffer(n + 1)
      try read(tensor, block)
      if let places {
        withDeltas(block, n) { kernels.variance($0, n: n, count: block.count, into: variance) }
        places.keep(block, kernels: kernels) { _ in variance }
      }
      for model in 1...n {
        if share <= 0 {
          block.buffer(model).update(repeating: 0, count: block.count)
        } else if places != nil {
          kernels.keepChosen(block.buffer(model), chosen: variance, count: block.count)
        }
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

  /// The share of the elements with a variance that are selected.
  private func places(_ tensor: MergeTensor, _ share: Double) throws(BoneSoupError) -> BandPlaces {
    let n = tensor.models.count
    let kernels = tensor.kernels
    let zeros = Atomic<Int>(0)
    func readVariance(
      _ block: MergeTensor.Block, _ variance: UnsafeMutablePointer<Float>
    ) throws(BoneSoupError) {
      try read(tensor, block)
      withDeltas(block, n) { kernels.variance($0, n: n, count: block.count, into: variance) }
    }
    try tensor.forBlocks(buffers: n + 2) { (block) throws(BoneSoupError) in
      try readVariance(block, block.buffer(n + 1))
      zeros.wrappingAdd(
        kernels.magnitudeCount(block.buffer(n + 1), count: block.count, bits: 0), ordering: .relaxed)
    }
    let selected = Int(Double(tensor.count - zeros.load(ordering: .relaxed)) * share)
    let search = MagnitudeBands(
      tensor: tensor, streams: 1,
      fill: { (block, stream) throws(BoneSoupError) in try readVariance(block, stream(0)) }, buffers: n + 2,
      first: n + 1)
    return try BandPlaces(
      try search.find { _ in (selected, 0) }, tensor, buffers: n + 2,
      fill: { (block) throws(BoneSoupError) in try readVariance(block, block.buffer(n + 1)) },
      stream: { block, _ in block.buffer(n + 1) })
  }

  private func read(_ tensor: MergeTensor, _ block: MergeTensor.Block) throws(BoneSoupError) {
    try tensor.readBase(block, into: block.buffer(0))
    for model in tensor.models.indices {
      try tensor.readDelta(model, block, base: block.buffer(0), into: block.buffer(model + 1))
    }
  }
}
