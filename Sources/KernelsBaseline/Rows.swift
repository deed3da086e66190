import CIntrinsics

/// One accumulator for each of four rows.
struct Accumulators {
  var a = bsk_splat(0)
  var b = bsk_splat(0)
  var c = bsk_splat(0)
  var d = bsk_splat(0)

  @inline(__always) init() {}

  @inline(__always)
  mutating func add(_ w: Accumulators, _ x: bsk_f32x16) {
    a = bsk_fma(w.a, x, a)
    b = bsk_fma(w.b, x, b)
    c = bsk_fma(w.c, x, c)
    d = bsk_fma(w.d, x, d)
  }

  /// Sums the lanes of each and puts the first `count` sums at y[0], y[step], …
  @inline(__always)
  func store(_ y: UnsafeMutablePointer<Float>, _ step: Int, _ count: Int, _ accumulate: Bool) {
    let sums = bsk_sum_4(a, b, c, d)
    if step == 1, count == 4 {
      bsk_store_f32x4(y, accumulate ? bsk_add_f32x4(bsk_load_f32x4(y), sums) : sums)
      return
    }
    y.pointee = accumulate ? y.pointee + sums.x : sums.x
    if count > 1 { y[step] = accumulate ? y[step] + sums.y : sums.y }
    if count > 2 { y[2 &* step] = accumulate ? y[2 &* step] + sums.z : sums.z }
    if count > 3 { y[3 &* step] = accumulate ? y[3 &* step] + sums.w : sums.w }
  }
}

/// Rows j, j + step, j + 2·step, j + 3·step of a matrix of n rows; for those past the end the one before stands in, and
/// their results are dropped.
struct Rows<W: Format> {
  let a: UnsafeRawPointer
  let b: UnsafeRawPointer
  let c: UnsafeRawPointer
  let d: UnsafeRawPointer
  let step: Int
  let count: Int

  /// `first` is where row j starts, `rowBytes` how far the next one is; j < n.
  @inline(__always)
  init(_ first: UnsafeRawPointer, _ rowBytes: Int, _ j: Int, _ step: Int, _ n: Int) {
    var count = 1
    while count < 4, j &+ count &* step < n { count &+= 1 }
    let stride = step &* rowBytes
    a = first
    b = count > 1 ? a + stride : a
    c = count > 2 ? b + stride : b
    d = count > 3 ? c + stride : c
    self.step = step
    self.count = count
  }

  @inline(__always)
  func load(_ k: Int) -> Accumulators {
    var w = Accumulators()
    let offset = k &* W.byteCount
    w.a = W.load(a + offset)
    w.b = W.load(b + offset)
    w.c = W.load(c + offset)
    w.d = W.load(d + offset)
    return w
  }

  @inline(__always)
  func load(_ k: Int, _ rest: Int) -> Accumulators {
    var w = Accumulators()
    let offset = k &* W.byteCount
    w.a = W.load(a + offset, rest)
    w.b = W.load(b + offset, rest)
    w.c = W.load(c + offset, rest)
    w.d = W.load(d + offset, rest)
    return w
  }

  /// The tile of these rows by `width` tokens, 1 ... 6, a literal at each call: y[t·ldy + r·step] for t < width, r < 4.
  @inline(__always)
  func multiply(
    _ width: Int, _ x: UnsafePointer<Float>, _ ldx: Int, _ k: Int, _ y: UnsafeMutablePointer<Float>, _ ldy: Int,
    _ accumulate: Bool
  ) {
    var t0 = Accumulators()
    var t1 = Accumulators()
    var t2 = Accumulators()
    var t3 = Accumulators()
    var t4 = Accumulators()
    var t5 = Accumulators()
    let x1 = x + ldx
    let x2 = x1 + ldx
    let x3 = x2 + ldx
    let x4 = x3 + ldx
    let x5 = x4 + ldx
    var i = 0
    while i &+ 16 <= k {
      let w = load(i)
      t0.add(w, bsk_load_f32(x + i))
      if width > 1 { t1.add(w, bsk_load_f32(x1 + i)) }
      if width > 2 { t2.add(w, bsk_load_f32(x2 + i)) }
      if width > 3 { t3.add(w, bsk_load_f32(x3 + i)) }
      if width > 4 { t4.add(w, bsk_load_f32(x4 + i)) }
      if width > 5 { t5.add(w, bsk_load_f32(x5 + i)) }
      i &+= 16
    }
    if i < k {
      let rest = k &- i
      let w = load(i, rest)
      t0.add(w, bsk_load_f32_partial(x + i, rest))
      if width > 1 { t1.add(w, bsk_load_f32_partial(x1 + i, rest)) }
      if width > 2 { t2.add(w, bsk_load_f32_partial(x2 + i, rest)) }
      if width > 3 { t3.add(w, bsk_load_f32_partial(x3 + i, rest)) }
      if width > 4 { t4.add(w, bsk_load_f32_partial(x4 + i, rest)) }
      if width > 5 { t5.add(w, bsk_load_f32_partial(x5 + i, rest)) }
    }
    t0.store(y, step, count, accumulate)
    if width > 1 { t1.store(y + ldy, step, count, accumulate) }
    if width > 2 { t2.store(y + 2 &* ldy, step, count, accumulate) }
    if width > 3 { t3.store(y + 3 &* ldy, step, count, accumulate) }
    if width > 4 { t4.store(y + 4 &* ldy, step, count, accumulate) }
    if width > 5 { t5.store(y + 5 &* ldy, step, count, accumulate) }
  }
}
