extension Kernels {
  /// c[i·ldc + j] += Σ_k a[i·aRow + k·aColumn] · b[k·ldb + j] in f64, for i < m, j < n: a in f32 with any strides.
  public func multiplyDoubles(
    a: UnsafePointer<Float>, aRow: Int, aColumn: Int, b: UnsafePointer<Double>, ldb: Int, m: Int, n: Int, k: Int,
    c: UnsafeMutablePointer<Double>, ldc: Int
  ) {
    table.multiply_f64(a, aRow, aColumn, b, true, ldb, m, n, k, c, ldc)
  }

  /// The same with b in f32.
  public func multiplyDoubles(
    a: UnsafePointer<Float>, aRow: Int, aColumn: Int, b: UnsafePointer<Float>, ldb: Int, m: Int, n: Int, k: Int,
    c: UnsafeMutablePointer<Double>, ldc: Int
  ) {
    table.multiply_f64(a, aRow, aColumn, b, false, ldb, m, n, k, c, ldc)
  }

  /// Σ x[i]·y[i], in one fixed order.
  public func dotDoubles(_ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>, count: Int) -> Double {
    table.dot_f64(x, y, count)
  }

  /// y[i] += coefficient · x[i].
  public func scaleAddDoubles(
    coefficient: Double, x: UnsafePointer<Double>, count: Int, y: UnsafeMutablePointer<Double>
  ) {
    table.scale_add_f64(coefficient, x, count, y)
  }

  /// Turns neighbouring rows of z, upwards: rotation r of `count`, (c, s) = rotations[2r…], takes the rows i = top − r and
  /// i + 1 to c·zᵢ − s·zᵢ₊₁ and s·zᵢ + c·zᵢ₊₁, in columns 0..<columns.
  public func rotateRows(
    rotations: UnsafePointer<Double>, count: Int, z: UnsafeMutablePointer<Double>, ldz: Int, top: Int, columns: Int
  ) {
    table.rotate_rows_f64(rotations, count, z, ldz, top, columns)
  }
}
