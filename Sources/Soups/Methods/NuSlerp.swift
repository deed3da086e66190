import Kernels
import Platform

/// Spherical interpolation between two models, or with a base between their task vectors, by normalised weights; whole
/// tensors as vectors, or rows, or columns.
struct NuSlerp: MergeMethod {
  let declaration = MethodDeclaration(
    "nuslerp", "spherical interpolation between two models or task vectors", base: .optional, models: 2...2,
    negative: .factor,
    [
      .weight,
      MethodParameter("nuslerp_flatten", .flag, default: 1, "whole tensors are vectors, else rows or columns are"),
      MethodParameter("nuslerp_row_wise", .flag, default: 0, "without nuslerp_flatten: columns instead of rows"),
    ])

  /// Vectors of columns are summed in so many stripes of rows, whatever the threads.
  private static let stripes = 16

  func byteCount(_ shape: MergeShape) -> Int {
    let sums = max(
      24 * shape.blockCount(ofRows: false), 24 * shape.rows, 24 * (Self.stripes + 1) * shape.rowLength)
    return sums + 24 * shape.rowLength + shape.blockBytes(buffers: 3, ofRows: true)
      + shape.blockBytes(buffers: 3)
  }

  /// a·v₀ + b·v₁, divided by c.
  private struct Mix: BitwiseCopyable {
    var a: Float
    var b: Float
    var c: Float

    init(_ sums: Correlation, t: Double) {
      func length(_ square: Double) -> Double { max(square.squareRoot(), 1e-7) }
      let cosine = Float(min(max(sums.product / (length(sums.first) * length(sums.second)), -1), 1))
      guard 1 - cosine * cosine > 1e-16 else {
        (a, b, c) = (Float(1 - t), Float(t), 1)
        return
      }
      let angle = arcCosine(Double(cosine))
      a = Float(sineCosine((1 - t) * angle).sine)
      b = Float(sineCosine(t * angle).sine)
      c = Float(sineCosine(angle).sine)
    }
  }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let (first, second) = (tensor.values.number("weight", model: 0), tensor.values.number("weight", model: 1))
    let t = (first + second).magnitude < 1e-6 ? 0.5 : second / (first + second)
    if tensor.values.flag("nuslerp_flatten") {
      try mergeWhole(tensor, t)
    } else if tensor.values.flag("nuslerp_row_wise"), tensor.shape.dimensions.count > 1 {
      try mergeColumns(tensor, t)
    } else {
      try tensor.forBlocks(buffers: 3, ofRows: true) { (block) throws(BoneSoupError) in
        try read(tensor, block)
        let length = tensor.shape.rowLength
        for start in stride(from: 0, to: block.count, by: length) {
          let mix = Mix(correlation(tensor, block, start, length), t: t)
          write(tensor, block, start, length, mix)
        }
        try tensor.write(block.buffer(1), block)
      }
    }
  }

  /// θ₀ into buffer 0, the two vectors into 1 and 2.
  private func read(_ tensor: MergeTensor, _ block: MergeTensor.Block) throws(BoneSoupError) {
    try tensor.readBase(block, into: block.buffer(0))
    for model in 0..<2 {
      if tensor.base != nil {
        try tensor.readDelta(model, block, base: block.buffer(0), into: block.buffer(model + 1))
      } else {
        try tensor.readModel(model, block, into: block.buffer(model + 1))
      }
    }
  }

  private func correlation(
    _ tensor: MergeTensor, _ block: MergeTensor.Block, _ start: Int, _ count: Int
  ) -> Correlation {
    let (x, y) = (block.buffer(1) + start, block.buffer(2) + start)
    return Correlation(
      first: tensor.kernels.productSum(x, x, count: count), second: tensor.kernels.productSum(y, y, count: count),
      product: tensor.kernels.productSum(x, y, count: count))
  }

  private func write(_ tensor: MergeTensor, _ block: MergeTensor.Block, _ start: Int, _ count: Int, _ mix: Mix) {
    tensor.kernels.combine(
      block.buffer(1) + start, times: mix.a, block.buffer(2) + start, times: mix.b, over: mix.c,
      base: tensor.base == nil ? nil : UnsafePointer(block.buffer(0) + start), count: count,
      into: block.buffer(1) + start)
  }

  private func mergeWhole(_ tensor: MergeTensor, _ t: Double) throws(BoneSoupError) {
    let sums = try tensor.sum(buffers: 3) { (block) throws(BoneSoupError) in
      try read(tensor, block)
      return correlation(tensor, block, 0, block.count)
    }
    let mix = Mix(sums, t: t)
    try tensor.forBlocks(buffers: 3) { (block) throws(BoneSoupError) in
      try read(tensor, block)
      write(tensor, block, 0, block.count, mix)
      try tensor.write(block.buffer(1), block)
    }
  }

  /// The first dimension is the vectors'; everything else numbers them.
  private func mergeColumns(_ tensor: MergeTensor, _ t: Double) throws(BoneSoupError) {
    guard tensor.shape.dimensions.count == 2 else {
      throw .unsupported("\(tensor.name) has \(tensor.shape.dimensions.count) dimensions; nuslerp_row_wise takes two")
    }
    let columns = tensor.shape.rowLength
    let blocks = tensor.shape.blockCount(ofRows: true)
    let memory = try Buffer(
      of: Correlation.self, count: (Self.stripes + 1) * columns, allocator: tensor.engine.allocator,
      purpose: "the sums of columns")
    defer { withExtendedLifetime(memory) {} }
    let sums = memory.elements(Correlation.self)
    sums.update(repeating: Correlation(), count: (Self.stripes + 1) * columns)
    // A stripe's blocks go to it in order: one thread takes a whole stripe.
    for round in 0..<(blocks + Self.stripes - 1) / Self.stripes {
      try tensor.forBlocks(
        buffers: 3, ofRows: true, only: round * Self.stripes..<min((round + 1) * Self.stripes, blocks)
      ) { (block) throws(BoneSoupError) in
        try read(tensor, block)
        let stripe = sums + (block.index % Self.stripes) * columns
        for index in 0..<block.count {
          let (x, y) = (Double(block.buffer(1)[index]), Double(block.buffer(2)[index]))
          stripe[index % columns] += Correlation(first: x * x, second: y * y, product: x * y)
        }
      }
    }
    let mixes = try Buffer(
      of: Mix.self, count: columns, allocator: tensor.engine.allocator, purpose: "the sums of columns")
    for column in 0..<columns {
      var total = Correlation()
      for stripe in 0..<Self.stripes { total += sums[stripe * columns + column] }
      mixes.elements(Mix.self)[column] = Mix(total, t: t)
    }
    defer { withExtendedLifetime(mixes) {} }
    let mix = mixes.elements(Mix.self)
    try tensor.forBlocks(buffers: 3, ofRows: true) { (block) throws(BoneSoupError) in
      try read(tensor, block)
      let (base, x, y) = (block.buffer(0), block.buffer(1), block.buffer(2))
      for index in 0..<block.count {
        let m = mix[index % columns]
        x[index] = base[index] + (m.a * x[index] + m.b * y[index]) / m.c
      }
      try tensor.write(x, block)
    }
  }
}
