import CIntrinsics

extension Kernels {
  /// out = Σ_p softmax_p(scale · query · K[p]) · V[p] for each query, over the positions p that its row sees: its own
  /// and those before it, as many as the window allows. Where none counts, `out` is zero.
  ///
  /// A query's bits depend on itself and on the keys and values of those positions only.
  public func attention(_ call: AttentionCall) {
    var raw = bsk_attention(
      queries: call.queries, out: call.out, row_stride: call.rowStride, rows: call.rows, heads: call.heads,
      head_dim: call.headSize, key_blocks: call.keys, value_blocks: call.values, position: call.position,
      window: call.window, scale: call.scale, format: call.format.rawValue)
    table.attention(&raw)
  }

  /// Rounds a head's key of one position, number `slot` of its block, into the block's panel of keys. Of the panel,
  /// which may hold anything, only what belongs to the position is written.
  public func storeKey(
    _ key: UnsafePointer<Float>, format: CacheFormat, headSize: Int, slot: Int, panel: UnsafeMutableRawPointer
  ) {
    table.store_key(key, format.rawValue, headSize, slot, panel)
  }

  /// As `storeKey`, for values.
  public func storeValue(
    _ value: UnsafePointer<Float>, format: CacheFormat, headSize: Int, slot: Int, panel: UnsafeMutableRawPointer
  ) {
    table.store_value(value, format.rawValue, headSize, slot, panel)
  }
}
