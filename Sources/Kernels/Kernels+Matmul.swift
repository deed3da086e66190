extension Kernels {
  /// y[i·ldy + j] = Σ_k x[i·ldx + k] · w[j·ldw + k], added to what y holds where `accumulate`, for i < m, j < n.
  ///
  /// x is [m, k] of f32, w [n, k] of `type`, y [m, n] of f32; strides count elements of the matrix's own type. Each
  /// element's bits depend on its row of x, its row of w and k only. y must overlap neither x nor w.
  @inline(__always)
  public func matmul(
    x: UnsafePointer<Float>, ldx: Int, m: Int, w: UnsafeRawPointer, type: ElementType, ldw: Int, n: Int, k: Int,
    y: UnsafeMutablePointer<Float>, ldy: Int, accumulate: Bool
  ) {
    table.matmul(x, ldx, m, w, type.rawValue, ldw, n, k, y, ldy, accumulate)
  }
}
