import Platform

/// Reading a file into memory piece by piece.
enum FileCopy {
  /// Small enough to look for a cancel often, large enough to be fast.
  static let chunk = 4 << 20

  /// Files up to this size are read rather than mapped.
  static let smallFile = 1 << 20

  static func requireSize(_ size: Int, of name: String, maximum: Int) throws(BoneSoupError) {
    guard size <= maximum else { throw .malformed("\(name) has \(size) bytes; at most \(maximum) are read") }
  }

  /// A buffer of `size` bytes, filled by calls of `read(offset, destination)` for at most a chunk each.
  static func read(
    name: String, size: Int, allocator: Allocator, monitor: Monitor,
    _ read: (Int, UnsafeMutableRawBufferPointer) throws(BoneSoupError) -> Void
  ) throws(BoneSoupError) -> Buffer {
    let buffer = try Buffer(byteCount: size, allocator: allocator, purpose: "the contents of \(name)")
    var offset = 0
    while offset < size {
      try monitor.report(Double(offset) / Double(size))
      let count = min(chunk, size - offset)
      try read(offset, UnsafeMutableRawBufferPointer(start: buffer.pointer + offset, count: count))
      offset += count
    }
    try monitor.report(1)
    return buffer
  }
}
