import CIntrinsics

/// The sums of one token for 16 rows, and for the panel's other 16 where the tile takes all.
struct PanelSums {
  var first: bsk_f32x16
  var second: bsk_f32x16
}

extension FloatPanel {
  /// 16 rows of a panel, or all 32, by the tokens of the shape. `weightStride` and `inputStride` are the bytes from a step
  /// to the next. Without anything `ahead`, asks for what follows in the panel and then in the next.
  @inline(never)
  static func tile<Shape: TileShape>(
    _: Shape.Type, _ panel: UnsafeRawPointer, _ weightStride: Int, _ input: UnsafeRawPointer, _ inputStride: Int,
    _ k: Int, _ ahead: Ahead, _ output: TileOutput
  ) {
    var sums = Twelve(PanelSums(first: bsk_splat(0), second: bsk_splat(0)))
    sums.update(Shape.tokens) { sum, token in
      sum.first = output.load(token, 0)
      if Shape.isPair { sum.second = output.load(token, 16) }
    }
    var (w, x) = (panel, input)
    let end = panel + steps(k) &* weightStride
    // Where there is much to compute by each weight, also what the next panel begins with.
    var next = w + (Shape.tokens < 6 ? 4096 : 16384)
    var share = weightStride
    if Shape.tokens >= 6, ahead.byteCount > 0 {
      next = ahead.start
      share = ahead.byteCount / max(steps(k), 1)
    }
    // Some hundred cycles before the end, and what there is for few tokens is no wait.
    let late = end + -32 &* weightStride
    var isReady = Shape.tokens < 6
    while w < end {
      if !isReady, w >= late {
        isReady = true
        output.prefetch(tokens: Shape.tokens, isPair: Shape.isPair)
      }
      bsk_prefetch(next)
      if Shape.isPair, weightBytes > 32, share > 64 { bsk_prefetch(next + 64) }
      next += share
      let a = load(w)
      add(Shape.self, a, Shape.isPair ? load(w + weightBytes) : a, x, &sums)
      if isSplit {
        let w = bsk_anew(w)
        let a = loadSecond(w)
        add(Shape.self, a, Shape.isPair ? loadSecond(w + weightBytes) : a, x + inputStride / 2, &sums)
      }
      w += weightStride
      x += inputStride
    }
    sums.update(Shape.tokens) { sum, token in
      output.store(sum.first, token, 0)
      if Shape.isPair { output.store(sum.second, token, 16) }
    }
  }

  @inline(__always)
  private static func add<Shape: TileShape>(
    _: Shape.Type, _ a: Vector, _ b: Vector, _ x: UnsafeRawPointer, _ sums: inout Twelve<PanelSums>
  ) {
    sums.update(Shape.tokens) { sum, token in
      let value = x + 4 &* token
      sum.first = multiplyAdd(sum.first, a, value)
      if Shape.isPair { sum.second = multiplyAdd(sum.second, b, value) }
    }
  }

  /// One group of tokens by one panel.
  @inline(never)
  static func multiply(
    _ group: bsk_group, _ panel: UnsafeRawPointer, _ input: UnsafeRawPointer, _ k: Int, _ ahead: Ahead,
    _ output: TileOutput
  ) {
    let isWhole = output.rows > 16
    let step = isWhole ? 2 &* weightBytes : weightBytes
    var x = input + group.before &* tokenBytes(k)
    var token = 0
    while token < group.width {
      let width = Int(group.width) &- token
      let target = output.moved(tokens: token)
      let taken = min(width, bsk_float_tile())
      let stride = taken &* inputBytes
      if isWhole, width <= bsk_pair_tile() { return pair(width, panel, step, x, stride, k, ahead, target) }
      single(taken, panel, step, x, stride, k, isWhole ? ahead.half(0) : ahead, target)
      if isWhole {
        single(taken, panel + weightBytes, step, x, stride, k, ahead.half(1), target.moved(rows: 16))
      }
      x += taken &* tokenBytes(k)
      token &+= taken
    }
  }

  /// Widths that the level does not use cost no code.
  @inline(__always)
  private static func pair(
    _ width: Int, _ panel: UnsafeRawPointer, _ step: Int, _ x: UnsafeRawPointer, _ stride: Int, _ k: Int,
    _ ahead: Ahead, _ output: TileOutput
  ) {
    let limit = bsk_pair_tile()
    if width == 1, limit >= 1 { return tile(Pair<Width1>.self, panel, step, x, stride, k, ahead, output) }
    if width == 2, limit >= 2 { return tile(Pair<Width2>.self, panel, step, x, stride, k, ahead, output) }
    if width == 3, limit >= 3 { return tile(Pair<Width3>.self, panel, step, x, stride, k, ahead, output) }
    if width == 4, limit >= 4 { return tile(Pair<Width4>.self, panel, step, x, stride, k, ahead, output) }
    if width == 6, limit >= 6 { return tile(Pair<Width6>.self, panel, step, x, stride, k, ahead, output) }
    if width == 8, limit >= 8 { return tile(Pair<Width8>.self, panel, step, x, stride, k, ahead, output) }
    if width == 12, limit >= 12 { return tile(Pair<Width12>.self, panel, step, x, stride, k, ahead, output) }
  }

  @inline(__always)
  private static func single(
    _ width: Int, _ panel: UnsafeRawPointer, _ step: Int, _ x: UnsafeRawPointer, _ stride: Int, _ k: Int,
    _ ahead: Ahead, _ output: TileOutput
  ) {
    let limit = bsk_float_tile()
    if width == 1, limit >= 1 { return tile(Single<Width1>.self, panel, step, x, stride, k, ahead, output) }
    if width == 2, limit >= 2 { return tile(Single<Width2>.self, panel, step, x, stride, k, ahead, output) }
    if width == 3, limit >= 3 { return tile(Single<Width3>.self, panel, step, x, stride, k, ahead, output) }
    if width == 4, limit >= 4 { return tile(Single<Width4>.self, panel, step, x, stride, k, ahead, output) }
    if width == 6, limit >= 6 { return tile(Single<Width6>.self, panel, step, x, stride, k, ahead, output) }
    if width == 8, limit >= 8 { return tile(Single<Width8>.self, panel, step, x, stride, k, ahead, output) }
    if width == 12, limit >= 12 { return tile(Single<Width12>.self, panel, step, x, stride, k, ahead, output) }
  }
}
