import Platform

/// How the tensors of several models become one.
///
/// A method sees one whole tensor of all models at a time, through blocks of f32 that it may read as often as it likes, and
/// writes each element once. It accumulates in f32 or f64 in an order that no number of threads changes.
protocol MergeMethod: Sendable {
  var declaration: MethodDeclaration { get }

  /// Bytes of large memory that `merge` takes at its peak for a tensor of this shape.
  func byteCount(_ shape: MergeShape) -> Int

  func merge(_ tensor: MergeTensor) throws(BoneSoupError)
}

/// A tensor's shape as methods see it, and who works on it.
struct MergeShape: Sendable {
  let dimensions: [Int]
  let modelCount: Int
  let threadCount: Int
  let isMatrixOfALayer: Bool

  /// Elements of a usual block: base, three models and what is read of them stay in a second-level cache.
  static let blockLength = 16_384
  /// After each buffer of a block, so that random words can begin at a multiple of 64 before it.
  static let margin = 128

  init(_ dimensions: [Int], name: String, modelCount: Int, threadCount: Int) {
    self.dimensions = dimensions
    self.modelCount = modelCount
    self.threadCount = threadCount
    let ends = ["embed_tokens.weight", "lm_head.weight"]
    isMatrixOfALayer = dimensions.count == 2 && !ends.contains { name.hasSuffix($0) }
  }

  var count: Int { dimensions.reduce(1, *) }
  /// The last dimension; a vector is one row.
  var rowLength: Int { max(1, dimensions.last ?? 1) }
  var rows: Int { count / rowLength }

  /// Length of the blocks, which are whole rows where `ofRows`.
  func blockLength(ofRows: Bool) -> Int {
    ofRows ? max(1, Self.blockLength / rowLength) * rowLength : min(Self.blockLength, max(count, 1))
  }

  func blockCount(ofRows: Bool) -> Int {
    let length = blockLength(ofRows: ofRows)
    return (count + length - 1) / length
  }

  /// Bytes that `MergeTensor.forBlocks` takes.
  func blockBytes(buffers: Int, ofRows: Bool = false) -> Int {
    4 * threadCount * (buffers + 1) * (blockLength(ofRows: ofRows) + Self.margin)
  }
}
