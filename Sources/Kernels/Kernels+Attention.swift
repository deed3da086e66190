extension Kernels {
  /// out[headDim] = Σ_p softmax_p(scale · query · K[p]) · V[p] over the absolute positions p in first ... last, for one
  /// query head of one row.
  ///
  /// kBlocks[b] and vBlocks[b] point to positions 64·b ..< 64·b + 64 as [64, headDim] of `type`; only the blocks of
  /// positions first ... last are looked at, and in them only those positions. The positions of a nil block don't count;
  /// where none counts, `out` is zero.
  public func attention(
    query: UnsafePointer<Float>, headDim: Int, kBlocks: UnsafePointer<UnsafeRawPointer?>,
    vBlocks: UnsafePointer<UnsafeRawPointer?>, type: ElementType, first: Int, last: Int, scale: Float,
    out: UnsafeMutablePointer<Float>
  ) {
    table.attention(query, headDim, kBlocks, vBlocks, type.rawValue, first, last, scale, out)
  }
}
