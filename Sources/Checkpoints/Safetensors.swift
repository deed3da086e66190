import Kernels
import Platform

/// A safetensors file: its header checked whole before any tensor can be asked for, its bytes where they are.
///
/// The format: 8 bytes of header length (little-endian), a JSON object {name: {dtype, shape, data_offsets}}, the data.
/// As in the reference implementation, the tensors must cover the data exactly, without gap or overlap.
public final class Safetensors: @unchecked Sendable {
  /// The reference implementation's limit.
  static let maximumHeaderBytes = 100_000_000

  public let file: FileBytes
  var names: NameTable
  var entries: Vector<SafetensorsEntry>
  var dimensions: Vector<Int>
  let allocator: Allocator

  /// Reads and checks the header.
  public init(_ file: FileBytes, allocator: Allocator, monitor: Monitor = .none) throws(BoneSoupError) {
    self.file = file
    self.allocator = allocator
    names = try NameTable(allocator: allocator)
    entries = try Vector(capacity: 256, allocator: allocator, purpose: "the index of tensors")
    dimensions = try Vector(capacity: 512, allocator: allocator, purpose: "the shapes of tensors")
    try readHeader(monitor: monitor)
  }

  public var count: Int { names.count }

  /// The name of a tensor, as UTF-8, valid as long as the object; tensors are numbered in the order of their names.
  public func name(at index: Int) -> UnsafeRawBufferPointer { names.name(at: index) }

  public func index(of name: UnsafeRawBufferPointer) -> Int? { names.index(of: name) }

  /// The tensor at `index`, from 0 to `count` - 1; one of a type that cannot be read is refused.
  public func tensor(at index: Int) throws(BoneSoupError) -> TensorView {
    let name = shortName(names.name(at: index))
    let entry = entries[Int(names.value(at: index))]
    guard let type = entry.type.flatMap(ElementType.init(rawValue:)) else {
      let text = UnsafeRawBufferPointer(rebasing: file.bytes[entry.typeStart..<entry.typeStart + entry.typeCount])
      throw .unsupported(
        "\(file.name): the tensor \(name) is of the type \(shortName(text, limit: 32)); F32, F16 and BF16 can be read")
    }
    return TensorView(
      name: name, file: file.name, type: type,
      shape: (0..<entry.rank).map { dimensions[entry.shapeStart + $0] },
      bytes: UnsafeRawBufferPointer(rebasing: file.bytes[entry.begin..<entry.end]), owner: file)
  }
}

/// A name from a file for a message, cut to `limit` bytes.
func shortName(_ bytes: UnsafeRawBufferPointer, limit: Int = 200) -> String {
  guard bytes.count > limit else { return String(decoding: bytes, as: UTF8.self) }
  var end = limit
  while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
  return String(decoding: bytes[..<end], as: UTF8.self) + "…"
}
