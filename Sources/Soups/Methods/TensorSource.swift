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
