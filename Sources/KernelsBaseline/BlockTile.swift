import CIntrinsics

extension BlockPanel {
  /// 16 rows by the tokens of the shape, whose input is packed side by side.
  @inline(never)
  static func tile<Width: TileWidth>(
    _: Width.Type, _ panel: UnsafeRawPointer, _ input: UnsafeRawPointer, _ k: Int, _ ahead: Ahead, _ output: TileOutput
  ) {
    let count = Width.tokens
    var sums = Twelve(bsk_splat(0))
    sums.update(count) { sum, token in sum = output.load(token, 0) }
    var (pair, x) = (panel, input)
    var left = blocks(k)
    var ahead = ahead
    let share = ahead.byteCount / max((left &+ 1) >> 1, 1)
    let lateBlocks = length > 32 ? 2 : 4
    while left > 0 {
      if count >= 6 || bsk_block_ahead() > 0 { ahead.prefetch(share) }
      if count >= min(6, bsk_block_tile()) {
        // Some hundred cycles before the end.
        if left == lateBlocks || left == lateBlocks - 1 { output.prefetch(tokens: count) }
      }
      let first = pair + 64
      add(&sums, Width.self, first, pair, x)
      x += tokenBlockBytes &* count
      if left > 1 {
        add(&sums, Width.self, first + blockBytes, pair + 32, x)
        x += tokenBlockBytes &* count
      }
      pair = first + 2 &* blockBytes
      left &-= 2
    }
    sums.update(count) { sum, token in output.store(sum, token, 0) }
  }

  /// Adds one block's products to the sums of the tokens.
  @inline(__always)
  private static func add<Width: TileWidth>(
    _ sums: inout Twelve<bsk_f32x16>, _: Width.Type, _ block: UnsafeRawPointer, _ scales: UnsafeRawPointer,
    _ x: UnsafeRawPointer
  ) {
    let count = Width.tokens
    let stride = 4 &* count
    let inputScales = x + length &* count
    let corrections = inputScales + stride
    var integers = Twelve(bsk_splat_i32(0))
    integers.update(count) { sum, token in sum = start((corrections + 4 &* token).loadUnaligned(as: Int32.self)) }
    accumulate(&integers, count, block, x, stride)
    let scale = bsk_from_f16(bsk_load_u16(scales))
    sums.update(count, with: integers) { sum, integer, token in
      let both = bsk_multiply(scale, bsk_splat((inputScales + 4 &* token).loadUnaligned(as: Float.self)))
      let whole = end(integer, (corrections + 4 &* token).loadUnaligned(as: Int32.self))
      sum = bsk_fma(bsk_f32_from_i32(whole), both, sum)
    }
  }

  /// One group of tokens by 16 rows.
  @inline(never)
  static func multiply(
    _ group: bsk_group, _ panel: UnsafeRawPointer, _ input: UnsafeRawPointer, _ k: Int, _ ahead: Ahead,
    _ output: TileOutput
  ) {
    let width = Int(group.width)
    let x = input + group.before &* tokenBytes(k)
    let none = Ahead(panel, 0)
    // The group's part is asked for by its first tile. Few tokens ask for what follows in their own panel instead.
    var ahead = ahead
    if width < 6 {
      let asks = bsk_block_ahead() > 0 && width >= leastAsking
      ahead = asks ? Ahead(panel + bsk_block_ahead(), halfBytes(k)) : none
    }
    var token = 0
    while token < width {
      let taken = min(width &- token, bsk_block_tile())
      let (first, target) = (x + token &* tokenBytes(k), output.moved(tokens: token))
      switch taken {
      case 1: if bsk_block_tile() >= 1 { tile(Width1.self, panel, first, k, ahead, target) }
      case 2: if bsk_block_tile() >= 2 { tile(Width2.self, panel, first, k, ahead, target) }
      case 3: if bsk_block_tile() >= 3 { tile(Width3.self, panel, first, k, ahead, target) }
      case 4: if bsk_block_tile() >= 4 { tile(Width4.self, panel, first, k, ahead, target) }
      case 6: if bsk_block_tile() >= 6 { tile(Width6.self, panel, first, k, ahead, target) }
      case 8: if bsk_block_tile() >= 8 { tile(Width8.self, panel, first, k, ahead, target) }
      case 12: if bsk_block_tile() >= 12 { tile(Width12.self, panel, first, k, ahead, target) }
      default: return
      }
      token &+= taken
      ahead = none
    }
  }
}
