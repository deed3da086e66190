import CIntrinsics

// Linear algebra in double precision, for decompositions.

/// c[i·ldc + j] += Σ_k a[i·aRow + k·aColumn] · b[k·ldb + j] for i < m, j < n: a in f32 with any strides, b in f32 or f64,
/// c in f64. k ascending in one accumulator per element.
func multiplyDoubles(
  _ a: UnsafePointer<Float>, _ aRow: Int, _ aColumn: Int, _ b: UnsafeRawPointer, _ isDouble: Bool, _ ldb: Int, _ m: Int,
  _ n: Int, _ k: Int, _ c: UnsafeMutablePointer<Double>, _ ldc: Int
) {
  // A block of b of 128 × 256 stays in the second-level cache while all rows pass over it.
  var kStart = 0
  while kStart < k {
    let depth = min(128, k &- kStart)
    var jStart = 0
    while jStart < n {
      let width = min(256, n &- jStart)
      var i = 0
      while i < m {
        let rows = min(4, m &- i)
        let aTile = a + i &* aRow + kStart &* aColumn
        var j = jStart
        while j < jStart &+ width {
          let columns = min(32, jStart &+ width &- j)
          let cTile = c + i &* ldc + j
          let start = kStart &* ldb &+ j
          if rows == 4, columns == 32 {
            if isDouble {
              tile(F64Operand.self, aTile, aRow, aColumn, b + start &* 8, ldb, depth, cTile, ldc)
            } else {
              tile(F32Operand.self, aTile, aRow, aColumn, b + start &* 4, ldb, depth, cTile, ldc)
            }
          } else if isDouble {
            edge(F64Operand.self, aTile, aRow, aColumn, b + start &* 8, ldb, rows, columns, depth, cTile, ldc)
          } else {
            edge(F32Operand.self, aTile, aRow, aColumn, b + start &* 4, ldb, rows, columns, depth, cTile, ldc)
          }
          j &+= 32
        }
        i &+= 4
      }
      jStart &+= 256
    }
    kStart &+= 128
  }
}

private protocol Operand {
  static var byteCount: Int { get }
  static func load(_ pointer: UnsafeRawPointer) -> bsk_f64x16
  static func one(_ pointer: UnsafeRawPointer) -> Double
}

private enum F32Operand: Operand {
  static var byteCount: Int { @inline(__always) get { 4 } }
  @inline(__always) static func load(_ pointer: UnsafeRawPointer) -> bsk_f64x16 { bsk_widen_f64(bsk_load_f32(pointer)) }
  @inline(__always) static func one(_ pointer: UnsafeRawPointer) -> Double {
    Double(pointer.assumingMemoryBound(to: Float.self).pointee)
  }
}

private enum F64Operand: Operand {
  static var byteCount: Int { @inline(__always) get { 8 } }
  @inline(__always) static func load(_ pointer: UnsafeRawPointer) -> bsk_f64x16 { bsk_load_f64(pointer) }
  @inline(__always) static func one(_ pointer: UnsafeRawPointer) -> Double {
    pointer.assumingMemoryBound(to: Double.self).pointee
  }
}

/// Four rows and 32 columns: sixteen registers of accumulators.
@inline(__always)
private func tile<B: Operand>(
  _: B.Type, _ a: UnsafePointer<Float>, _ aRow: Int, _ aColumn: Int, _ b: UnsafeRawPointer, _ ldb: Int, _ k: Int,
  _ c: UnsafeMutablePointer<Double>, _ ldc: Int
) {
  let (c1, c2, c3) = (c + ldc, c + 2 &* ldc, c + 3 &* ldc)
  var (s00, s01) = (bsk_load_f64(c), bsk_load_f64(c + 16))
  var (s10, s11) = (bsk_load_f64(c1), bsk_load_f64(c1 + 16))
  var (s20, s21) = (bsk_load_f64(c2), bsk_load_f64(c2 + 16))
  var (s30, s31) = (bsk_load_f64(c3), bsk_load_f64(c3 + 16))
  var (x, y) = (a, b)
  var step = 0
  while step < k {
    let (b0, b1) = (B.load(y), B.load(y + 16 &* B.byteCount))
    let a0 = bsk_splat_f64(Double(x.pointee))
    s00 = bsk_fma_f64(a0, b0, s00)
    s01 = bsk_fma_f64(a0, b1, s01)
    let a1 = bsk_splat_f64(Double(x[aRow]))
    s10 = bsk_fma_f64(a1, b0, s10)
    s11 = bsk_fma_f64(a1, b1, s11)
    let a2 = bsk_splat_f64(Double(x[2 &* aRow]))
    s20 = bsk_fma_f64(a2, b0, s20)
    s21 = bsk_fma_f64(a2, b1, s21)
    let a3 = bsk_splat_f64(Double(x[3 &* aRow]))
    s30 = bsk_fma_f64(a3, b0, s30)
    s31 = bsk_fma_f64(a3, b1, s31)
    x += aColumn
    y += ldb &* B.byteCount
    step &+= 1
  }
  bsk_store_f64(c, s00)
  bsk_store_f64(c + 16, s01)
  bsk_store_f64(c1, s10)
  bsk_store_f64(c1 + 16, s11)
  bsk_store_f64(c2, s20)
  bsk_store_f64(c2 + 16, s21)
  bsk_store_f64(c3, s30)
  bsk_store_f64(c3 + 16, s31)
}

/// The same for what is left at the right and the bottom.
@inline(__always)
private func edge<B: Operand>(
  _: B.Type, _ a: UnsafePointer<Float>, _ aRow: Int, _ aColumn: Int, _ b: UnsafeRawPointer, _ ldb: Int, _ rows: Int,
  _ columns: Int, _ k: Int, _ c: UnsafeMutablePointer<Double>, _ ldc: Int
) {
  var i = 0
  while i < rows {
    var step = 0
    while step < k {
      let factor = Double(a[i &* aRow &+ step &* aColumn])
      let row = b + step &* ldb &* B.byteCount
      var j = 0
      while j < columns {
        c[i &* ldc &+ j] += factor * B.one(row + j &* B.byteCount)
        j &+= 1
      }
      step &+= 1
    }
    i &+= 1
  }
}

/// Σ x[i]·y[i]: lane l sums i = l, l + 16, …, then the lanes as a tree, then what is left of 16.
func dotDoubles(_ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>, _ count: Int) -> Double {
  var sum = bsk_zero_f64()
  var i = 0
  while i &+ 16 <= count {
    sum = bsk_fma_f64(bsk_load_f64(x + i), bsk_load_f64(y + i), sum)
    i &+= 16
  }
  var total = bsk_sum_f64(sum)
  while i < count {
    total += x[i] * y[i]
    i &+= 1
  }
  return total
}

/// y[i] += coefficient · x[i].
func scaleAddDoubles(
  _ coefficient: Double, _ x: UnsafePointer<Double>, _ count: Int, _ y: UnsafeMutablePointer<Double>
) {
  let c = bsk_splat_f64(coefficient)
  var i = 0
  while i &+ 16 <= count {
    bsk_store_f64(y + i, bsk_fma_f64(c, bsk_load_f64(x + i), bsk_load_f64(y + i)))
    i &+= 16
  }
  while i < count {
    y[i] += coefficient * x[i]
    i &+= 1
  }
}

/// Turns neighbouring rows of z, from below upwards: rotation r, (c, s) = rotations[2r], rotations[2r + 1], takes the rows
/// i = top − r and i + 1 to c·zᵢ − s·zᵢ₊₁ and s·zᵢ + c·zᵢ₊₁.
func rotateRows(
  _ rotations: UnsafePointer<Double>, _ count: Int, _ z: UnsafeMutablePointer<Double>, _ ldz: Int, _ top: Int,
  _ columns: Int
) {
  var j = 0
  while j &+ 16 <= columns {
    var lower = bsk_load_f64(z + (top &+ 1) &* ldz + j)
    var r = 0
    while r < count {
      let row = z + (top &- r) &* ldz + j
      let upper = bsk_load_f64(row)
      let (c, s) = (bsk_splat_f64(rotations[2 &* r]), bsk_splat_f64(rotations[2 &* r &+ 1]))
      bsk_store_f64(row + ldz, bsk_fma_f64(s, upper, bsk_multiply_f64(c, lower)))
      lower = bsk_fma_f64(c, upper, bsk_multiply_f64(bsk_splat_f64(-rotations[2 &* r &+ 1]), lower))
      r &+= 1
    }
    bsk_store_f64(z + (top &+ 1 &- count) &* ldz + j, lower)
    j &+= 16
  }
  while j < columns {
    var r = 0
    while r < count {
      let row = z + (top &- r) &* ldz + j
      let (upper, lower) = (row[0], row[ldz])
      let (c, s) = (rotations[2 &* r], rotations[2 &* r &+ 1])
      row[ldz] = s * upper + c * lower
      row[0] = c * upper - s * lower
      r &+= 1
    }
    j &+= 1
  }
}
