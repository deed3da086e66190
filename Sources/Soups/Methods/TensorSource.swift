import Kernels
import Platform

/// Where the elements of one model's tensor come from.
protocol TensorSource: Sendable {
  /// Whether it gives θ − θ₀ rather than θ, as an adapter does.
  var isDelta: Bool { get }

  /// Elements `range` as f32. Any thread.
  ///
  /// - Parameter raw: room for as many f32, for the bytes as they are stored.
  func read(
    _ range: Range<Int>, into values: UnsafeMutablePointer<Float>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) throws(BoneSoupError)

  /// Δ = θ − θ₀ of the elements.
  ///
  /// - Parameter base: θ₀ of the range.
  func readDelta(
    _ range: Range<Int>, base: UnsafePointer<Float>, into values: UnsafeMutablePointer<Float>,
    raw: UnsafeMutableRawPointer, kernels: Kernels
  ) throws(BoneSoupError)
}

extension TensorSource {
  func readDelta(
    _ range: Range<Int>, base: UnsafePointer<Float>, into values: UnsafeMutablePointer<Float>,
    raw: UnsafeMutableRawPointer, kernels: Kernels
  ) throws(BoneSoupError) {
    try read(range, into: values, raw: raw, kernels: kernels)
    if !isDelta { kernels.subtract(values, base, count: range.count, into: values) }
  }
}

/// Where the elements of the merged tensor go.
protocol TensorSink: Sendable {
  /// Elements `range`; each element comes once. Any thread.
  ///
  /// - Parameter raw: room for as many f32.
  func write(
    _ values: UnsafePointer<Float>, _ range: Range<Int>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) throws(BoneSoupError)
}
