import Checkpoints
import Kernels
import Platform

/// A tensor of a checkpoint that is being written.
struct FileSink: TensorSink {
  let writer: SafetensorsWriter
  let tensor: Int
  let type: ElementType

  func write(
    _ values: UnsafePointer<Float>, _ range: Range<Int>, raw: UnsafeMutableRawPointer, kernels: Kernels
  ) throws(BoneSoupError) {
    let width = type.byteCount
    var source = UnsafeRawPointer(values)
    if type != .f32 {
      kernels.narrow(source: values, type: type, count: range.count, into: raw)
      source = UnsafeRawPointer(raw)
    }
    try writer.write(
      UnsafeRawBufferPointer(start: source, count: range.count * width), tensor: tensor,
      at: range.lowerBound * width)
  }
}
