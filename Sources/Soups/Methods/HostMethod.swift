import Platform

/// A method of the host's: called for blocks of a tensor, in any order and on any thread, several at once.
public struct HostMethod: MergeMethod {
  /// One block, in f32. Pointers are valid during the call.
  public struct Block {
    /// At most 200 bytes of the tensor's name.
    public let tensor: String
    /// θ₀; nil without a base.
    public let base: UnsafePointer<Float>?
    /// θ of each model.
    public let models: UnsafePointer<UnsafePointer<Float>>
    public let weights: [Double]
    /// Of the block's first element in the tensor, row by row.
    public let offset: Int
    public let count: Int
    /// Takes the merged elements.
    public let result: UnsafeMutablePointer<Float>
  }

  /// False ends the merge.
  public typealias Body = @Sendable (Block) -> Bool

  let declaration: MethodDeclaration
  private let body: Body

  public init(name: String, body: @escaping Body) {
    declaration = MethodDeclaration(
      name, "a method of the host's", base: .optional, negative: .factor,
      [MethodParameter("weight", .number, .perModel, default: 1, "handed on to the method")])
    self.body = body
  }

  func byteCount(_ shape: MergeShape) -> Int { shape.blockBytes(buffers: shape.modelCount + 2) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) {
    let n = tensor.models.count
    let weights = (0..<n).map { tensor.values.number("weight", model: $0) }
    try tensor.forBlocks(buffers: n + 2) { (block) throws(BoneSoupError) in
      let (base, result) = (block.buffer(0), block.buffer(n + 1))
      try tensor.readBase(block, into: base)
      for model in 0..<n { try tensor.readModel(model, block, into: block.buffer(model + 1)) }
      var goesOn = true
      withDeltas(block, n) { models in
        goesOn = body(
          Block(
            tensor: tensor.name, base: tensor.base == nil ? nil : UnsafePointer(base), models: models,
            weights: weights, offset: block.range.lowerBound, count: block.count, result: result))
      }
      guard goesOn else { throw .cancelled }
      try tensor.write(result, block)
    }
  }
}
