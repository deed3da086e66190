import CIntrinsics

/// out = Σ_p softmax_p(scale · query · K[p]) · V[p] over the positions first ... last, for one query head.
///
/// Keys and values lie in blocks of 64 absolute positions, block b holding positions 64·b ..< 64·b + 64 as
/// [64, headDim] in the format; a position outside first ... last is neither read nor counted.
/// The blocks are taken in order, each in one fixed order inside, with the running maximum, sum and output rescaled
/// whenever a block is done (online softmax, Milakov and Gimelshein, arXiv 1805.02867).
func attention(
  _ query: UnsafePointer<Float>, _ headDim: Int, _ kBlocks: UnsafePointer<UnsafeRawPointer?>,
  _ vBlocks: UnsafePointer<UnsafeRawPointer?>, _ type: UInt8, _ first: Int, _ last: Int, _ scale: Float,
  _ out: UnsafeMutablePointer<Float>
) {
  switch type {
  case FormatCode.f32: attention(F32.self, query, headDim, kBlocks, vBlocks, first, last, scale, out)
  case FormatCode.f16: attention(F16.self, query, headDim, kBlocks, vBlocks, first, last, scale, out)
  case FormatCode.bf16: attention(BF16.self, query, headDim, kBlocks, vBlocks, first, last, scale, out)
  default: return
  }
}

@inline(__always)
private func attention<KV: Format>(
  _: KV.Type, _ query: UnsafePointer<Float>, _ headDim: Int, _ kBlocks: UnsafePointer<UnsafeRawPointer?>,
  _ vBlocks: UnsafePointer<UnsafeRawPointer?>, _ first: Int, _ last: Int, _ scale: Float,
  _ out: UnsafeMutablePointer<Float>
) {
  var column = 0
  while column < headDim {
    out[column] = 0
    column &+= 1
  }
  guard first >= 0, first <= last else { return }
  var most = -Float.infinity
  var total: Float = 0
  withUnsafeTemporaryAllocation(of: Float.self, capacity: 64) { scratch in
    guard let weights = scratch.baseAddress else { return }
    var start = first & ~63
    while start <= last {
      let (low, high) = (max(first &- start, 0), min(last &- start, 63) &+ 1)
      if let keys = kBlocks[start >> 6], let values = vBlocks[start >> 6] {
        scores(KV.self, query, headDim, keys, low, high, scale, weights)
        let blockMost = greatest(weights, 64)
        let newMost = blockMost > most ? blockMost : most
        let correction = bsk_first(exponential(bsk_splat(most - newMost)))
        total = total * correction + exponentials(weights, newMost)
        mix(KV.self, weights, headDim, values, low, high, correction, out)
        most = newMost
      }
      start &+= 64
    }
  }
  guard total != 0 else { return }
  column = 0
  while column < headDim {
    out[column] /= total
    column &+= 1
  }
}

/// scores[p] = scale · query · keys[p] for low ≤ p < high, −∞ for the other p below 64.
@inline(__always)
private func scores<KV: Format>(
  _: KV.Type, _ query: UnsafePointer<Float>, _ headDim: Int, _ keys: UnsafeRawPointer, _ low: Int, _ high: Int,
  _ scale: Float, _ scores: UnsafeMutablePointer<Float>
) {
  let rowBytes = headDim &* KV.byteCount
  var p = low
  while p < high {
    let rows = Rows<KV>(keys + p &* rowBytes, rowBytes, p, 1, high)
    rows.multiply(1, query, 0, headDim, scores + p, 0, false)
    p &+= 4
  }
  p = 0
  while p < 64 {
    scores[p] = p < low || p >= high ? -.infinity : scores[p] * scale
    p &+= 1
  }
}

/// weights[p] = e^(weights[p] − most) for p < 64; returns their sum.
@inline(__always)
private func exponentials(_ weights: UnsafeMutablePointer<Float>, _ most: Float) -> Float {
  var sums = bsk_splat(0)
  var i = 0
  while i < 64 {
    let e = exponential(bsk_subtract(bsk_load_f32(weights + i), bsk_splat(most)))
    bsk_store_f32(weights + i, e)
    sums = bsk_add(sums, e)
    i &+= 16
  }
  return bsk_sum(sums)
}

/// out = out · correction + Σ weights[p] · values[p] over low ≤ p < high, p ascending; 64 columns at a time, then 16.
@inline(__always)
private func mix<KV: Format>(
  _: KV.Type, _ weights: UnsafePointer<Float>, _ headDim: Int, _ values: UnsafeRawPointer, _ low: Int, _ high: Int,
  _ correction: Float, _ out: UnsafeMutablePointer<Float>
) {
  let factor = bsk_splat(correction)
  let rowBytes = headDim &* KV.byteCount
  var column = 0
  while column &+ 64 <= headDim {
    let target = out + column
    var sums = Accumulators()
    sums.a = bsk_multiply(factor, bsk_load_f32(target))
    sums.b = bsk_multiply(factor, bsk_load_f32(target + 16))
    sums.c = bsk_multiply(factor, bsk_load_f32(target + 32))
    sums.d = bsk_multiply(factor, bsk_load_f32(target + 48))
    var row = values + low &* rowBytes + column &* KV.byteCount
    var p = low
    while p < high {
      var v = Accumulators()
      v.a = KV.load(row)
      v.b = KV.load(row + 16 &* KV.byteCount)
      v.c = KV.load(row + 32 &* KV.byteCount)
      v.d = KV.load(row + 48 &* KV.byteCount)
      sums.add(v, bsk_splat(weights[p]))
      row += rowBytes
      p &+= 1
    }
    bsk_store_f32(target, sums.a)
    bsk_store_f32(target + 16, sums.b)
    bsk_store_f32(target + 32, sums.c)
    bsk_store_f32(target + 48, sums.d)
    column &+= 64
  }
  while column < headDim {
    let width = min(headDim &- column, 16)
    var sum = bsk_multiply(factor, bsk_load_f32_partial(out + column, width))
    var row = values + low &* rowBytes + column &* KV.byteCount
    var p = low
    while p < high {
      sum = bsk_fma(KV.load(row, width), bsk_splat(weights[p]), sum)
      row += rowBytes
      p &+= 1
    }
    bsk_store_f32_partial(out + column, sum, width)
    column &+= 16
  }
}
