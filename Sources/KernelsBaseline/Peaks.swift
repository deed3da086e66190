import CIntrinsics

// What the machine can do at most, for benchmarks to stand beside: loops with nothing in them but the instruction that
// sets the pace. Their results mean nothing; they are returned so that no compiler leaves the work out.

/// Does `rounds` rounds of arithmetic of a kind: 0 fused multiply-add of f32, 1 products of two bf16 numbers per lane (where
/// there is an instruction for it, else as 0), 2 of four bytes per lane, 3 of four four-bit weights. `operands` are 1024 bytes;
/// they lie in the first-level cache, as in a matrix product: a vector that is loaded is used once per accumulator.
func arithmeticPeak(_ kind: UInt8, _ operands: UnsafeRawPointer, _ rounds: Int) -> Float {
  switch kind {
  case 1 where bsk_has_bf16_dot(): peak(PairProducts.self, operands, rounds)
  case 2: peak(ByteProducts.self, operands, rounds)
  case 3: peak(HalfProducts.self, operands, rounds)
  default: peak(FloatProducts.self, operands, rounds)
  }
}

/// Operations that a round of `arithmeticPeak` does, multiplications and additions both counted.
func arithmeticPeakOperations(_ kind: UInt8) -> Int {
  let lanes = 16 &* Int(bsk_peak_accumulators())
  return switch kind {
  case 1 where bsk_has_bf16_dot(): lanes &* PairProducts.operations
  case 2: lanes &* ByteProducts.operations
  case 3: lanes &* HalfProducts.operations
  default: lanes &* FloatProducts.operations
  }
}

private protocol Products {
  associatedtype Sum
  static var zero: Sum { get }
  /// Of a lane.
  static var operations: Int { get }
  /// sum + w · x in each lane.
  static func add(_ sum: Sum, _ w: bsk_u32x16, _ x: UInt32) -> Sum
  /// A number that depends on every lane.
  static func witness(_ sum: Sum) -> Float
}

extension Products where Sum == bsk_f32x16 {
  static var zero: bsk_f32x16 { @inline(__always) get { bsk_splat(0) } }
  @inline(__always) static func witness(_ sum: bsk_f32x16) -> Float { bsk_sum(sum) }
}

extension Products where Sum == bsk_i32x16 {
  static var zero: bsk_i32x16 { @inline(__always) get { bsk_splat_i32(0) } }
  static var operations: Int { 8 }
  @inline(__always) static func witness(_ sum: bsk_i32x16) -> Float { Float(bsk_xor_lanes_i32(sum)) }
}

private enum FloatProducts: Products {
  static var operations: Int { 2 }
  @inline(__always) static func add(_ sum: bsk_f32x16, _ w: bsk_u32x16, _ x: UInt32) -> bsk_f32x16 {
    bsk_fma(bsk_float_bits(w), bsk_splat(Float(bitPattern: x)), sum)
  }
}

private enum PairProducts: Products {
  static var operations: Int { 4 }
  @inline(__always) static func add(_ sum: bsk_f32x16, _ w: bsk_u32x16, _ x: UInt32) -> bsk_f32x16 {
    bsk_dot_bf16(sum, w, x)
  }
}

private enum ByteProducts: Products {
  @inline(__always) static func add(_ sum: bsk_i32x16, _ w: bsk_u32x16, _ x: UInt32) -> bsk_i32x16 {
    bsk_dot_bytes(sum, w, x)
  }
}

private enum HalfProducts: Products {
  @inline(__always) static func add(_ sum: bsk_i32x16, _ w: bsk_u32x16, _ x: UInt32) -> bsk_i32x16 {
    bsk_dot_halves(sum, w, x)
  }
}

@inline(__always)
private func peak<P: Products>(_: P.Type, _ operands: UnsafeRawPointer, _ rounds: Int) -> Float {
  let isWide = bsk_peak_accumulators() == 12
  var (a, b, c, d) = (P.zero, P.zero, P.zero, P.zero)
  var (e, f, g, h) = (P.zero, P.zero, P.zero, P.zero)
  var (i, j, k, l) = (P.zero, P.zero, P.zero, P.zero)
  var round = 0
  while round < rounds {
    let w = bsk_load_u32(operands + (round & 15) &* 64)
    a = P.add(a, w, 0x0102_0304)
    b = P.add(b, w, 0x0506_0708)
    c = P.add(c, w, 0x090a_0b0c)
    d = P.add(d, w, 0x0d0e_0f10)
    if isWide {
      e = P.add(e, w, 0x1112_1314)
      f = P.add(f, w, 0x1516_1718)
      g = P.add(g, w, 0x191a_1b1c)
      h = P.add(h, w, 0x1d1e_1f20)
      i = P.add(i, w, 0x2122_2324)
      j = P.add(j, w, 0x2526_2728)
      k = P.add(k, w, 0x292a_2b2c)
      l = P.add(l, w, 0x2d2e_2f30)
    }
    round &+= 1
  }
  let first = P.witness(a) + P.witness(b) + P.witness(c) + P.witness(d)
  let second = P.witness(e) + P.witness(f) + P.witness(g) + P.witness(h)
  return first + second + P.witness(i) + P.witness(j) + P.witness(k) + P.witness(l)
}

/// Reads `count` bytes, a multiple of 512, once from front to back.
func readStream(_ source: UnsafeRawPointer, _ count: Int) -> UInt32 {
  var a = bsk_load_u32(source)
  var (b, c, d) = (a, a, a)
  var p = source
  let end = source + count
  while p < end {
    bsk_prefetch_stream(p + 4096)
    bsk_prefetch_stream(p + 4160)
    bsk_prefetch_stream(p + 4224)
    bsk_prefetch_stream(p + 4288)
    bsk_prefetch_stream(p + 4352)
    bsk_prefetch_stream(p + 4416)
    bsk_prefetch_stream(p + 4480)
    bsk_prefetch_stream(p + 4544)
    a = bsk_xor_u32(a, bsk_load_u32(p))
    b = bsk_xor_u32(b, bsk_load_u32(p + 64))
    c = bsk_xor_u32(c, bsk_load_u32(p + 128))
    d = bsk_xor_u32(d, bsk_load_u32(p + 192))
    a = bsk_xor_u32(a, bsk_load_u32(p + 256))
    b = bsk_xor_u32(b, bsk_load_u32(p + 320))
    c = bsk_xor_u32(c, bsk_load_u32(p + 384))
    d = bsk_xor_u32(d, bsk_load_u32(p + 448))
    p += 512
  }
  return bsk_xor_lanes_u32(bsk_xor_u32(bsk_xor_u32(a, b), bsk_xor_u32(c, d)))
}

/// Reads three streams of `count` bytes, a multiple of 128, and writes a fourth past the caches: what a merge of three
/// models asks of the memory. The result is aligned to 64 bytes.
func mergeStreams(
  _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeRawPointer, _ count: Int, _ out: UnsafeMutableRawPointer
) {
  var offset = 0
  while offset < count {
    bsk_prefetch_stream(a + offset + 1024)
    bsk_prefetch_stream(b + offset + 1024)
    bsk_prefetch_stream(c + offset + 1024)
    bsk_prefetch_stream(a + offset + 1088)
    bsk_prefetch_stream(b + offset + 1088)
    bsk_prefetch_stream(c + offset + 1088)
    let first = bsk_add_u32(bsk_load_u32(a + offset), bsk_load_u32(b + offset))
    let second = bsk_add_u32(bsk_load_u32(a + offset + 64), bsk_load_u32(b + offset + 64))
    bsk_stream_u32(out + offset, bsk_add_u32(first, bsk_load_u32(c + offset)))
    bsk_stream_u32(out + offset + 64, bsk_add_u32(second, bsk_load_u32(c + offset + 64)))
    offset &+= 128
  }
  bsk_fence()
}
