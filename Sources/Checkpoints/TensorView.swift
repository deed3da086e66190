import Kernels
import Platform

/// A tensor of a checkpoint: shape, type and bytes, row by row, the last dimension contiguous.
public struct TensorView: @unchecked Sendable {
  public static let maximumRank = 8

  /// At most 200 bytes of the tensor's name, and the file it is in: for messages.
  public let name: String
  public let file: String
  public let type: ElementType
  /// Up to eight dimensions, each 0 or more; none for a scalar.
  public let shape: [Int]
  /// Exactly as many as the shape needs, little-endian, and where the file has them: they need not be aligned. Valid as long as `owner` lives.
  public let bytes: UnsafeRawBufferPointer
  /// Keeps the bytes alive.
  public let owner: any AnyObject & Sendable

  /// A tensor of f32 in memory.
  public init(floats: Buffer, name: String, shape: [Int]) {
    self.name = name
    file = "memory"
    type = .f32
    self.shape = shape
    let count = shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
    bytes = UnsafeRawBufferPointer(rebasing: floats.bytes.prefix(max(0, 4 &* count)))
    owner = floats
  }

  init(
    name: String, file: String, type: ElementType, shape: [Int], bytes: UnsafeRawBufferPointer,
    owner: any AnyObject & Sendable
  ) {
    self.name = name
    self.file = file
    self.type = type
    self.shape = shape
    self.bytes = bytes
    self.owner = owner
  }

  /// The product of the dimensions.
  public var count: Int { bytes.count / type.byteCount }

  /// "[2, 3]"
  public static func describe(_ shape: [Int]) -> String { "[" + shape.map(String.init).joined(separator: ", ") + "]" }

  /// Throws where the shape is another.
  public func require(shape wanted: [Int]) throws(BoneSoupError) {
    guard shape == wanted else {
      throw .mismatch(
        "\(file): the tensor \(name) has the shape \(Self.describe(shape)); \(Self.describe(wanted)) is needed")
    }
  }

  /// Copies a range of the bytes, as `FileBytes.copy` does.
  public func copyBytes(_ range: Range<Int>, to destination: UnsafeMutableRawPointer) throws(BoneSoupError) {
    guard range.lowerBound >= 0, range.upperBound <= bytes.count else {
      throw .internalFault("\(file): the bytes \(range) are outside of \(name)")
    }
    if let file = owner as? FileBytes, let base = file.bytes.baseAddress, let start = bytes.baseAddress {
      let offset = start - base
      return try file.copy(offset + range.lowerBound..<offset + range.upperBound, to: destination)
    }
    UnsafeMutableRawBufferPointer(start: destination, count: range.count)
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
  }

  /// Says that the bytes will not be read again soon, so that a mapped file's pages need not stay in memory.
  public func dropBehind() { (owner as? FileBytes)?.dropBehind(bytes) }
}
