import CIntrinsics

extension BytePanel {
  /// ggml's q8_0, in blocks of any length: d = max|v| / 127, v/d to nearest, ties away from zero. See `BlockPanel`.
  @inline(__always)
  static func quantise(_ columns: UnsafePointer<Float>, _ out: UnsafeMutableRawPointer) -> bsk_f32x16 {
    var most = bsk_splat(0)
    var i = 0
    while i < length {
      most = bsk_greater_bits(most, bsk_load_f32(columns + 16 &* i))
      i &+= 1
    }
    let scale = bsk_where_finite(most, bsk_divide(most, bsk_splat(127)), bsk_splat(.nan))
    let inverse = bsk_where_finite(scale, bsk_inverse(scale), bsk_splat(0))
    i = 0
    while i < length {
      bsk_store_u32(
        out + 16 &* i,
        bsk_join_bytes(
          byte(columns + 16 &* i, scale, inverse), byte(columns + 16 &* (i &+ 1), scale, inverse),
          byte(columns + 16 &* (i &+ 2), scale, inverse), byte(columns + 16 &* (i &+ 3), scale, inverse)))
      i &+= 4
    }
    return scale
  }

  /// As it is stored; zero in rows whose scale is NaN.
  @inline(__always)
  private static func byte(
    _ column: UnsafePointer<Float>, _ scale: bsk_f32x16, _ inverse: bsk_f32x16
  ) -> bsk_i32x16 {
    let scaled = bsk_where_finite(scale, bsk_multiply(bsk_load_f32(column), inverse), bsk_splat(0))
    return bsk_add_i32(bsk_nearest_away_i32(scaled), bsk_splat_i32(offset))
  }
}

extension Q4x32Panel {
  /// ggml's q4_0: d = (the number of the greatest magnitude, the first of equals) / −8, v/d + 8.5 cut to 0 ... 15. See
  /// `BlockPanel`.
  @inline(__always)
  static func quantise(_ columns: UnsafePointer<Float>, _ out: UnsafeMutableRawPointer) -> bsk_f32x16 {
    let most = greatestMagnitude(columns, length)
    let scale = bsk_where_finite(most, bsk_divide(most, bsk_splat(-8)), bsk_splat(.nan))
    let inverse = bsk_where_finite(scale, bsk_inverse(scale), bsk_splat(0))
    var i = 0
    while i < 16 {
      bsk_store_u32(
        out + 16 &* i,
        bsk_join_bytes(
          byte(columns, i, scale, inverse), byte(columns, i &+ 1, scale, inverse),
          byte(columns, i &+ 2, scale, inverse), byte(columns, i &+ 3, scale, inverse)))
      i &+= 4
    }
    return scale
  }

  /// Columns i and i + 16.
  @inline(__always)
  private static func byte(
    _ columns: UnsafePointer<Float>, _ i: Int, _ scale: bsk_f32x16, _ inverse: bsk_f32x16
  ) -> bsk_i32x16 {
    bsk_join_halves(half(columns + 16 &* i, scale, inverse), half(columns + 16 &* (i &+ 16), scale, inverse))
  }

  @inline(__always)
  private static func half(
    _ column: UnsafePointer<Float>, _ scale: bsk_f32x16, _ inverse: bsk_f32x16
  ) -> bsk_i32x16 {
    bsk_to_halves(bsk_where_finite(scale, bsk_multiply(bsk_load_f32(column), inverse), bsk_splat(0)))
  }
}

/// Of each row the number of the greatest magnitude, with its sign, the first of equals.
@inline(__always)
private func greatestMagnitude(_ columns: UnsafePointer<Float>, _ count: Int) -> bsk_f32x16 {
  var most = bsk_splat(0)
  var i = 0
  while i < count {
    most = bsk_farther_from_zero(most, bsk_load_f32(columns + 16 &* i))
    i &+= 1
  }
  return most
}
