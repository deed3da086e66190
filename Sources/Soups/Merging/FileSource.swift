import Checkpoints
import Kernels
import Platform

/// A tensor in a file, read by position: its pages never become this process's memory, and a file that is cut short is an
/// error.
struct FileSource: TensorSource {
  let tensor: TensorView
  var isDelta: Bool { false }

  func read(
    _ range: Range<Int>, into values: UnsafeMutablePointer<Float>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) throws(BoneSoupError) {
    let width = tensor.type.byteCount
    let bytes = range.lowerBound * width..<range.upperBound * width
    if tensor.type == .f32 { return try tensor.copyBytes(bytes, to: values) }
    try tensor.copyBytes(bytes, to: raw)
    kernels.widen(type: tensor.type, source: raw, count: range.count, into: values)
  }

  func readDelta(
    _ range: Range<Int>, base: UnsafePointer<Float>, into values: UnsafeMutablePointer<Float>,
    raw: UnsafeMutableRawPointer, kernels: Kernels
  ) throws(BoneSoupError) {
    let width = tensor.type.byteCount
    try tensor.copyBytes(range.lowerBound * width..<range.upperBound * width, to: raw)
    kernels.difference(type: tensor.type, source: raw, base: base, count: range.count, into: values)
  }
}

/// A tensor in memory or a mapped file, read in place.
struct MemorySource: TensorSource {
  let tensor: TensorView
  let start: UnsafeRawPointer
  var isDelta: Bool { false }

  init(_ tensor: TensorView) throws(BoneSoupError) {
    guard let start = tensor.bytes.baseAddress else { throw .internalFault("\(tensor.name) has no elements") }
    self.tensor = tensor
    self.start = start
  }

  func read(
    _ range: Range<Int>, into values: UnsafeMutablePointer<Float>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) {
    kernels.widen(
      type: tensor.type, source: start + range.lowerBound * tensor.type.byteCount, count: range.count, into: values)
  }

  func readDelta(
    _ range: Range<Int>, base: UnsafePointer<Float>, into values: UnsafeMutablePointer<Float>,
    raw: UnsafeMutableRawPointer, kernels: Kernels
  ) {
    kernels.difference(
      type: tensor.type, source: start + range.lowerBound * tensor.type.byteCount, base: base, count: range.count,
      into: values)
  }
}

extension MemorySource: @unchecked Sendable {}
