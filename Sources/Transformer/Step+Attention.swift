import Kernels

extension Step {
  /// Rows of one text at consecutive positions, and query heads that share a head of keys and values: what one thread
  /// computes at a time.
  private struct Part {
    let rows: Range<Int>
    let heads: Range<Int>
    let format: CacheFormat
    /// Of the first row. The blocks are of the rows' cache, which the step keeps alive.
    let position: Int
    let keys: UnsafePointer<UnsafeRawPointer?>
    let values: UnsafePointer<UnsafeRawPointer?>
  }

  /// Each query head against the keys and values of its own text, up to its own position. The queries are used up.
  func lookBack(_ layer: Int) {
    let headSize = config.headSize
    let width = config.headCount * headSize
    let window = config.slidingWindow(layer: layer) ?? .max
    let scale = 1 / Float(headSize).squareRoot()
    let parts = parts(layer)
    func compute(_ part: Part) {
      let offset = part.rows.lowerBound * width + part.heads.lowerBound * headSize
      kernels.attention(
        AttentionCall(
          queries: work.query + offset, out: work.attention + offset, rowStride: width, rows: part.rows.count,
          heads: part.heads.count, headSize: headSize,
          keys: part.keys, values: part.values, format: part.format, position: part.position, window: window,
          scale: scale))
    }
    let positions = rows.reduce(0) { $0 + min($1.position + 1, window) }
    if positions * width < 1 << 16 {
      for part in parts { compute(part) }
    } else {
      engine.pool.run(parts: parts.count) { index in
        if !monitor.isCancelled { compute(parts[index]) }
      }
    }
  }

  /// Small enough for all threads to have some of them; rows that go together share what they read. The last rows see
  /// most: they come first, so that no thread is left with a long part at the end. Heads ascend, as they lie.
  private func parts(_ layer: Int) -> [Part] {
    let keyValueHeads = config.keyValueHeadCount
    let group = config.headCount / keyValueHeads
    let threads = engine.pool.threadCount
    let most = max(1, min(14, rows.count * keyValueHeads / (4 * threads)))
    var stretches: [Range<Int>] = []
    for index in rows.indices {
      if let last = stretches.last, last.count < most, rows[index].cache === rows[index - 1].cache,
        rows[index].position == rows[index - 1].position + 1
      {
        stretches[stretches.count - 1] = last.lowerBound..<index + 1
      } else {
        stretches.append(index..<index + 1)
      }
    }
    let count = stretches.count * keyValueHeads
    let splits = min(group, (threads + count - 1) / count)
    var parts: [Part] = []
    parts.reserveCapacity(count * splits)
    for stretch in stretches.reversed() {
      let (cache, position) = (rows[stretch.lowerBound].cache, rows[stretch.lowerBound].position)
      for head in 0..<keyValueHeads {
        let keys = cache.panels(layer: layer, values: false, head: head)
        let values = cache.panels(layer: layer, values: true, head: head)
        for split in 0..<splits {
          let heads = head * group + group * split / splits..<head * group + group * (split + 1) / splits
          parts.append(
            Part(
              rows: stretch, heads: heads, format: cache.layout.type, position: position, keys: keys, values: values))
        }
      }
    }
    return parts
  }
}
