import Platform

/// Σ wᵢθᵢ (model soups, arXiv 2203.05482), by default divided by Σ wᵢ.
struct Linear: MergeMethod {
  let declaration = MethodDeclaration(
    "linear", "the weighted mean of the models", base: .unused, negative: .factor, isForSoups: true,
    [
      .weight,
      MethodParameter("normalize", .flag, default: 1, "divide by the sum of the weights; never in a soup"),
    ])

  func byteCount(_ shape: MergeShape) -> Int { shape.blockBytes(buffers: 2) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let weights = tensor.models.indices.map { Float(tensor.values.number("weight", model: $0)) }
    let sum = weights.reduce(0, +)
    let isNormalized = tensor.values.flag("normalize")
    guard !isNormalized || sum != 0 else {
      throw .invalidArgument("\(tensor.name): the weights sum to 0, by which normalize would divide; set it to false")
    }
    try tensor.forBlocks(buffers: 2) { (block) throws(BoneSoupError) in
      let (result, model) = (block.buffer(0), block.buffer(1))
      for (index, weight) in weights.enumerated() {
        try tensor.readModel(index, block, into: index == 0 ? result : model)
        if index == 0 {
          tensor.kernels.scale(coefficient: weight, type: .f32, source: result, count: block.count, into: result)
        } else {
          tensor.kernels.scaleAdd(coefficient: weight, type: .f32, source: model, count: block.count, into: result)
        }
      }
      if isNormalized { tensor.kernels.divide(result, by: sum, count: block.count) }
      try tensor.write(result, block)
    }
  }
}
