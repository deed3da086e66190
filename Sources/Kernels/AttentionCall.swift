/// What `Kernels.attention` is asked for: for each of `rows` consecutive positions of one text, some query heads that
/// share a head of keys and values.
public struct AttentionCall {
  /// [rows][heads][headSize], rows `rowStride` apart, heads without gaps. Work space: they are overwritten.
  public var queries: UnsafeMutablePointer<Float>
  /// Laid out as `queries`, which it may not overlap.
  public var out: UnsafeMutablePointer<Float>
  public var rowStride: Int
  public var rows: Int
  public var heads: Int
  public var headSize: Int
  /// Panels of positions 64·b ..< 64·b + 64. Only the blocks of positions that a row sees are looked at; the positions
  /// of a nil block don't count.
  public var keys: UnsafePointer<UnsafeRawPointer?>
  public var values: UnsafePointer<UnsafeRawPointer?>
  public var format: CacheFormat
  /// Of the first row.
  public var position: Int
  /// Positions that a row sees at most, its own included.
  public var window: Int
  /// Scores are this times query · key.
  public var scale: Float

  public init(
    queries: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>, rowStride: Int, rows: Int, heads: Int,
    headSize: Int, keys: UnsafePointer<UnsafeRawPointer?>, values: UnsafePointer<UnsafeRawPointer?>,
    format: CacheFormat, position: Int, window: Int = .max, scale: Float
  ) {
    self.queries = queries
    self.out = out
    self.rowStride = rowStride
    self.rows = rows
    self.heads = heads
    self.headSize = headSize
    self.keys = keys
    self.values = values
    self.format = format
    self.position = position
    self.window = window
    self.scale = scale
  }
}
