import Platform

/// One model as it is, or times a factor.
struct Passthrough: MergeMethod {
  let declaration = MethodDeclaration(
    "passthrough", "one model, times a factor", base: .unused, models: 1...1, negative: .factor,
    [MethodParameter("scale", .number, .perModel, default: 1, "factor of the model")])

  func byteCount(_ shape: MergeShape) -> Int { shape.blockBytes(buffers: 1) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let scale = Float(tensor.values.number("scale"))
    try tensor.forBlocks(buffers: 1) { (block) throws(BoneSoupError) in
      let values = block.buffer(0)
      try tensor.readModel(0, block, into: values)
      tensor.kernels.scale(coefficient: scale, type: .f32, source: values, count: block.count, into: values)
      try tensor.write(values, block)
    }
  }
}
