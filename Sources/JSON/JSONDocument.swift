import Platform

/// A JSON text (RFC 8259, strictly) with an index of its values.
///
/// The text is neither copied nor changed; strings and numbers are decoded where they are asked for. Immutable, so any
/// thread may read it. Should the bytes change behind it (a mapped file that somebody writes to), values may be wrong,
/// but no byte outside the text is read.
public final class JSONDocument: @unchecked Sendable {
  /// Documents up to this size are refused where an object has the same key twice.
  public static let duplicateKeyLimit = 1 << 20

  /// Names the text in messages.
  public let file: String
  let text: UnsafeRawBufferPointer
  let nodes: UnsafePointer<JSONNode>
  let nodeCount: Int
  private let tape: Buffer
  private let owner: any AnyObject & Sendable

  /// Parses the whole text; what it throws names file, line and column.
  ///
  /// Costs 16 bytes for each value and key. A byte order mark is refused, as is anything but space after the value.
  /// - Parameters:
  ///   - bytes: the text, valid as long as `owner` lives, which the document keeps alive.
  ///   - maximumBytes: a longer text is refused; at most 4 GiB.
  ///   - maximumDepth: arrays and objects inside each other, up to 4,096.
  public init(
    _ bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable, file: String, maximumBytes: Int,
    maximumDepth: Int = 64, allocator: Allocator, monitor: Monitor = .none
  ) throws(BoneSoupError) {
    let limit = min(maximumBytes, Int(UInt32.max) - 1)
    guard bytes.count <= limit else {
      throw .malformed("\(file) has \(bytes.count) bytes; at most \(limit) are read")
    }
    var parser = try JSONParser(
      bytes, file: file, maximumDepth: min(max(maximumDepth, 1), 4096), allocator: allocator, monitor: monitor)
    try parser.parse()
    self.file = file
    self.owner = owner
    text = bytes
    tape = parser.tape.buffer
    nodes = UnsafePointer(parser.tape.nodes)
    nodeCount = parser.tape.count
    if bytes.count <= Self.duplicateKeyLimit { try refuseDuplicateKeys() }
  }

  public var root: JSONValue { JSONValue(document: self, index: 0) }
}
