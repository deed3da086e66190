import CIntrinsics

/// How keys and values lie in their panels of 64 positions, and how queries and weights meet them.
///
/// A panel of keys is [head size / elements in a word][64] words, one of values [64 / elements in a word][head size]. What is
/// needed after a panel is at `next`; where that is nil, it is the same part of the panel behind it.
protocol CacheStorage {
  /// Turns a query, in place, into what multiplies keys; scores come out multiplied by `scale`.
  static func prepare(_ query: UnsafeMutablePointer<Float>, _ headDim: Int, _ scale: Float)

  /// weights[64·q + p] = query q · key p for `count` queries from `query` on and the first `positions` of a block, a
  /// multiple of 16.
  static func score(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ keys: UnsafeRawPointer,
    _ next: UnsafeRawPointer?, _ headDim: Int, _ positions: Int)

  /// Puts the 64 weights of a query into the form that multiplies values; returns sums that add up to theirs.
  static func round(
    _ weights: UnsafeMutablePointer<Float>, _ scratch: Scratch, _ query: Int
  ) -> bsk_f32x16

  /// Where that form is.
  static func factors(
    _ scratch: Scratch, _ query: Int
  ) -> UnsafeMutableRawPointer

  /// outs[q] = outs[q] · corrections[q] + Σ_p weights[64·q + p] · value p over low ≤ p < high, p ascending.
  static func mix(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ values: UnsafeRawPointer,
    _ next: UnsafeRawPointer?, _ headDim: Int, _ low: Int, _ high: Int)
}

/// f32 or f16.
enum SingleCache<Element: Format>: CacheStorage {
  @inline(__always)
  static func prepare(_ query: UnsafeMutablePointer<Float>, _ headDim: Int, _ scale: Float) {
    var i = 0
    while i < headDim {
      query[i] *= scale
      i &+= 1
    }
  }

  @inline(__always)
  static func score(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ keys: UnsafeRawPointer,
    _ next: UnsafeRawPointer?, _ headDim: Int, _ positions: Int
  ) {
    PanelProducts(
      SingleWords<Element>.self, keys, 64 &* Element.byteCount, headDim, UnsafePointer(bsk_queries(scratch) + query), 0,
      next ?? keys + 64 &* headDim &* Element.byteCount, isAlike: next == nil
    ).store(count, positions, bsk_weights(scratch) + 64 &* query)
  }

  @inline(__always)
  static func round(
    _ weights: UnsafeMutablePointer<Float>, _ scratch: Scratch, _ query: Int
  ) -> bsk_f32x16 { sumOf64(weights) }

  @inline(__always)
  static func factors(
    _ scratch: Scratch, _ query: Int
  ) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(bsk_weights(scratch) + 64 &* query) }

  @inline(__always)
  static func mix(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ values: UnsafeRawPointer,
    _ next: UnsafeRawPointer?, _ headDim: Int, _ low: Int, _ high: Int
  ) {
    let stride = headDim &* Element.byteCount
    let factors = UnsafePointer(bsk_factor_rows(scratch) + query)
    var column = 0
    while column < headDim {
      let columns = min(headDim &- column, 64)
      let words = values + low &* stride + column &* Element.byteCount
      PanelProducts(
        SingleWords<Element>.self, words, stride, high &- low, factors, 4 &* low,
        next.map { $0 + column &* 64 &* Element.byteCount } ?? words + 64 &* stride, isAlike: next == nil
      )
      .store(count, columns, bsk_sums(scratch))
      addSums(scratch, query, count, column, columns)
      column &+= 64
    }
  }
}

/// bf16, in pairs of neighbours.
enum PairCache: CacheStorage {
  @inline(__always)
  static func prepare(_ query: UnsafeMutablePointer<Float>, _ headDim: Int, _ scale: Float) {
    let factor = bsk_splat(scale)
    let pairs = UnsafeMutableRawPointer(query)
    var i = 0
    while i < headDim {
      let rest = min(headDim &- i, 16)
      let x = bsk_to_bf16(bsk_multiply(factor, bsk_load_f32_partial(query + i, rest)))
      // An odd last one gets a zero beside it.
      bsk_store_u16_partial(pairs + 2 &* i, x, rest &+ rest & 1)
      i &+= 16
    }
  }

  @inline(__always)
  static func score(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ keys: UnsafeRawPointer,
    _ next: UnsafeRawPointer?, _ headDim: Int, _ positions: Int
  ) {
    PanelProducts(
      PairWords.self, keys, 256, (headDim &+ 1) >> 1, UnsafePointer(bsk_queries(scratch) + query), 0,
      next ?? keys + 256 &* ((headDim &+ 1) >> 1), isAlike: next == nil
    ).store(count, positions, bsk_weights(scratch) + 64 &* query)
  }

  /// The sums are those of the rounded weights.
  @inline(__always)
  static func round(
    _ weights: UnsafeMutablePointer<Float>, _ scratch: Scratch, _ query: Int
  ) -> bsk_f32x16 {
    let pairs = factors(scratch, query)
    bsk_store_bf16_pair(pairs, bsk_load_f32(weights), bsk_load_f32(weights + 16))
    bsk_store_bf16_pair(pairs + 64, bsk_load_f32(weights + 32), bsk_load_f32(weights + 48))
    let ones: UInt32 = 0x3f80_3f80
    return bsk_dot_bf16(bsk_dot_bf16(bsk_splat(0), bsk_load_u32(pairs), ones), bsk_load_u32(pairs + 64), ones)
  }

  @inline(__always)
  static func factors(
    _ scratch: Scratch, _ query: Int
  ) -> UnsafeMutableRawPointer { bsk_factors(scratch) + 256 &* query }

  @inline(__always)
  static func mix(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ values: UnsafeRawPointer,
    _ next: UnsafeRawPointer?, _ headDim: Int, _ low: Int, _ high: Int
  ) {
    let factors = UnsafePointer(bsk_factor_rows(scratch) + query)
    let start = (low &+ 1) >> 1
    var column = 0
    while column < headDim {
      let columns = min(headDim &- column, 64)
      let words = values + 4 &* (start &* headDim &+ column)
      PanelProducts(
        PairWords.self, words, 4 &* headDim, high >> 1 &- start, factors, 4 &* start,
        next.map { $0 + column &* 128 } ?? words + 128 &* headDim, isAlike: next == nil
      ).store(count, columns, bsk_sums(scratch))
      // A pair of which only one is seen.
      if low & 1 == 1 { add(scratch, query, count, values, headDim, low, column, columns) }
      if high & 1 == 1 { add(scratch, query, count, values, headDim, high &- 1, column, columns) }
      addSums(scratch, query, count, column, columns)
      column &+= 64
    }
  }

  /// sums[q] += weight of `position` · its value.
  private static func add(
    _ scratch: Scratch, _ query: Int, _ count: Int, _ values: UnsafeRawPointer,
    _ headDim: Int, _ position: Int, _ column: Int, _ columns: Int
  ) {
    let words = values + 4 &* ((position >> 1) &* headDim &+ column)
    var q = 0
    while q < count {
      let pair = bsk_load_u32_scalar(bsk_factor_rows(scratch)[query &+ q] + 4 &* (position >> 1))
      let factor = Float(bitPattern: position & 1 == 0 ? pair << 16 : pair & 0xffff_0000)
      let sums = bsk_sums(scratch) + 64 &* q
      var c = 0
      while c < columns {
        let word = bsk_load_u32_partial(words + 4 &* c, min(columns &- c, 16))
        let value = position & 1 == 0 ? bsk_first_bf16(word) : bsk_second_bf16(word)
        bsk_store_f32(sums + c, bsk_fma(value, bsk_splat(factor), bsk_load_f32(sums + c)))
        c &+= 16
      }
      q &+= 1
    }
  }
}

/// Four vectors to one, lane by lane.
@inline(__always)
func sumOf64(_ x: UnsafePointer<Float>) -> bsk_f32x16 {
  bsk_add(
    bsk_add(bsk_load_f32(x), bsk_load_f32(x + 16)), bsk_add(bsk_load_f32(x + 32), bsk_load_f32(x + 48)))
}

/// outs[query + q][column + c] = that · corrections[query + q] + sums[64·q + c] for c < columns, q < count.
@inline(__always)
func addSums(
  _ scratch: Scratch, _ query: Int, _ count: Int, _ column: Int, _ columns: Int
) {
  var q = 0
  while q < count {
    let out = bsk_outs(scratch)[query &+ q] + column
    let sums = bsk_sums(scratch) + 64 &* q
    let correction = bsk_splat(bsk_corrections(scratch)[query &+ q])
    var c = 0
    while c &+ 16 <= columns {
      bsk_store_f32(out + c, bsk_fma(bsk_load_f32(out + c), correction, bsk_load_f32(sums + c)))
      c &+= 16
    }
    if c < columns {
      let rest = columns &- c
      let sum = bsk_fma(bsk_load_f32_partial(out + c, rest), correction, bsk_load_f32(sums + c))
      bsk_store_f32_partial(out + c, sum, rest)
    }
    q &+= 1
  }
}
