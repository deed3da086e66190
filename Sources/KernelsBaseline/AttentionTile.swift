import CIntrinsics

/// Up to `tileQueries` queries of one head of keys and values: `heads` of each of `rows` consecutive rows.
///
/// A block that all rows see entirely is computed for all together. The others are computed row by row, so that what a
/// row does not see can't touch it, not even as zero times infinity. Each query goes through its own blocks in ascending
/// order, and every number of it is summed in an order that its company does not change.
struct AttentionTile<Cache: CacheStorage> {
  let call: bsk_attention
  let scratch: Scratch
  let row: Int
  let rows: Int
  let heads: Int

  init(
    _ call: bsk_attention, _ scratch: Scratch, _ row: Int, _ rows: Int, _ head: Int,
    _ heads: Int
  ) {
    self.call = call
    self.scratch = scratch
    self.row = row
    self.rows = rows
    self.heads = heads
    var query = 0
    while query < rows &* heads {
      var r = 0
      while (r &+ 1) &* heads <= query { r &+= 1 }
      let start = (row &+ r) &* call.row_stride &+ (head &+ query &- r &* heads) &* call.head_dim
      begin(query, call.queries + start, call.out + start)
      query &+= 1
    }
  }

  private func begin(_ query: Int, _ vector: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<Float>) {
    // Scores come out as exponents of 2.
    Cache.prepare(vector, call.head_dim, call.scale * 1.442695041)
    bsk_queries(scratch)[query] = UnsafeRawPointer(vector)
    bsk_factor_rows(scratch)[query] = UnsafeRawPointer(Cache.factors(scratch, query))
    bsk_outs(scratch)[query] = out
    bsk_most(scratch)[query] = -.infinity
    bsk_store_f32(bsk_totals(scratch) + 16 &* query, bsk_splat(0))
    var column = 0
    while column < call.head_dim {
      out[column] = 0
      column &+= 1
    }
  }

  func run() {
    let shared = (first(rows &- 1) &+ 63) >> 6..<max((first(rows &- 1) &+ 63) >> 6, (last(0) &+ 1) >> 6)
    var r = 0
    while r < rows {
      blocks(r, first(r) >> 6, shared.isEmpty ? last(r) >> 6 &+ 1 : shared.lowerBound)
      r &+= 1
    }
    if !shared.isEmpty {
      var block = shared.lowerBound
      while block < shared.upperBound {
        compute(block, 0, rows &* heads, 0, 64)
        block &+= 1
      }
      r = 0
      while r < rows {
        blocks(r, shared.upperBound, last(r) >> 6 &+ 1)
        r &+= 1
      }
    }
    var query = 0
    while query < rows &* heads {
      finish(query)
      query &+= 1
    }
  }

  /// The first position that row `r` sees, and its own.
  private func first(_ r: Int) -> Int { max(0, call.position &+ row &+ r &- call.window &+ 1) }
  private func last(_ r: Int) -> Int { call.position &+ row &+ r }

  private func blocks(_ r: Int, _ start: Int, _ end: Int) {
    var block = start
    while block < end {
      compute(block, r &* heads, heads, max(first(r) &- block << 6, 0), min(last(r) &- block << 6, 63) &+ 1)
      block &+= 1
    }
  }

  /// Positions low ..< high of a block for `count` queries (online softmax, Milakov and Gimelshein, arXiv 1805.02867).
  @inline(never)
  private func compute(_ block: Int, _ query: Int, _ count: Int, _ low: Int, _ high: Int) {
    guard let keys = call.key_blocks[block], let values = call.value_blocks[block] else { return }
    // After the last block it is most often another head's panel, which lies behind this one.
    let isLast = block >= last(rows &- 1) >> 6
    let (nextKeys, nextValues) = isLast ? (nil, nil) : (call.key_blocks[block &+ 1], call.value_blocks[block &+ 1])
    // Whole tiles of positions; what lies behind the last one seen is not read.
    let positions = high <= 16 ? 16 : high <= 32 ? 32 : 64
    Cache.score(scratch, query, count, keys, nextKeys, call.head_dim, positions)
    weigh(query, count, low, high, positions)
    Cache.mix(scratch, query, count, values, nextValues, call.head_dim, low, high)
  }

  /// Weights from scores, of which the first `positions` are there: w = 2^(s − most), 0 outside low ..< high; takes them
  /// into the totals, and says by what the sums so far are to be multiplied.
  @inline(__always)
  private func weigh(_ query: Int, _ count: Int, _ low: Int, _ high: Int, _ positions: Int) {
    let most = bsk_most(scratch)
    let corrections = bsk_corrections(scratch)
    let peaks = bsk_peaks(scratch)
    var q = query
    while q < query &+ count {
      let weights = bsk_weights(scratch) + 64 &* q
      fill(weights, 0, low, -.infinity)
      fill(weights, high, 64, -.infinity)
      let peak = bsk_peak(
        bsk_greater(
          bsk_greater(bsk_load_f32(weights), bsk_load_f32(weights + 16)),
          bsk_greater(bsk_load_f32(weights + 32), bsk_load_f32(weights + 48))))
      let before = most[q]
      most[q] = peak > before ? peak : before
      corrections[q] = before - most[q]
      peaks[q] = peak - most[q]
      q &+= 1
    }
    bsk_store_f32(corrections, powerOf2(bsk_load_f32(corrections)))
    q = query
    while q < query &+ count {
      let weights = bsk_weights(scratch) + 64 &* q
      let offset = bsk_splat(most[q])
      var i = 0
      while i < positions {
        bsk_store_f32(weights + i, powerOf2(bsk_subtract(bsk_load_f32(weights + i), offset)))
        i &+= 16
      }
      while i < 64 {
        bsk_store_f32(weights + i, bsk_splat(0))
        i &+= 16
      }
      let totals = bsk_totals(scratch) + 16 &* q
      let sum = Cache.round(weights, scratch, q)
      bsk_store_f32(totals, bsk_fma(bsk_load_f32(totals), bsk_splat(corrections[q]), sum))
      q &+= 1
    }
  }

  private func finish(_ query: Int) {
    let total = bsk_sum(bsk_load_f32(bsk_totals(scratch) + 16 &* query))
    guard total != 0 else { return }
    let out = bsk_outs(scratch)[query]
    var column = 0
    while column < call.head_dim {
      out[column] /= total
      column &+= 1
    }
  }
}

/// x[i] = value for low ≤ i < high.
@inline(__always)
func fill(_ x: UnsafeMutablePointer<Float>, _ low: Int, _ high: Int, _ value: Float) {
  var i = low
  while i < high {
    x[i] = value
    i &+= 1
  }
}

/// 2^x for x ≤ 0, within 2e-7 of itself, exactly 1 for 0, 0 below −150, NaN for NaN.
///
/// x = n + r with |r| ≤ 1/2; 2^r by the polynomial of degree 5 with constant 1 and the least relative error (9e-8).
@inline(__always)
func powerOf2(_ x: bsk_f32x16) -> bsk_f32x16 {
  let x = bsk_greater(bsk_splat(-152), x)
  let rounder = bsk_splat(BSK_ROUNDER)
  let shifted = bsk_add(x, rounder)
  let n = bsk_subtract(shifted, rounder)
  let r = bsk_subtract(x, n)
  var q = bsk_splat(0.0013264727)
  q = bsk_fma(q, r, bsk_splat(0.009671513))
  q = bsk_fma(q, r, bsk_splat(0.055507336))
  q = bsk_fma(q, r, bsk_splat(0.24022242))
  q = bsk_fma(q, r, bsk_splat(0.693147))
  return bsk_shift_exponent(bsk_fma(q, r, bsk_splat(1)), n, shifted)
}
