import Kernels

/// One tensor of a safetensors header.
struct SafetensorsEntry: BitwiseCopyable {
  /// Bytes of the tensor, from the start of the file.
  var begin: Int
  var end: Int
  /// Where the dimensions are in the file's list of them, and how many.
  var shapeStart: Int
  var rank: Int
  /// The header's text of the type, from the start of the file, and what it means where it can be read.
  var typeStart: Int
  var typeCount: Int
  var type: UInt8?
}
