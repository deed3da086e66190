/// Makes safetensors files, well-made or with a header of one's own.
public struct SafetensorsBuilder {
  private var entries: [String] = []
  private var data: [UInt8] = []

  public init() {}

  /// Adds a tensor of any type; the name must need no escapes.
  public mutating func add(_ name: String, type: String, shape: [Int], bytes: [UInt8]) {
    let shape = shape.map(String.init).joined(separator: ",")
    let range = "\(data.count),\(data.count + bytes.count)"
    entries.append(#""\#(name)":{"dtype":"\#(type)","shape":[\#(shape)],"data_offsets":[\#(range)]}"#)
    data += bytes
  }

  /// Adds an F32 tensor.
  public mutating func add(_ name: String, shape: [Int], _ values: [Float]) {
    add(name, type: "F32", shape: shape, bytes: values.flatMap(Self.bytes))
  }

  /// Adds an F32 tensor whose elements all are `value`.
  public mutating func add(_ name: String, shape: [Int], filledWith value: Float = 0) {
    add(name, shape: shape, [Float](repeating: value, count: shape.reduce(1, *)))
  }

  /// The file, its header padded to eight bytes as the reference implementation does.
  public var bytes: [UInt8] { Self.file(header: "{" + entries.joined(separator: ",") + "}", data: data) }

  /// A file of exactly this header (padded with spaces to eight bytes) and data.
  public static func file(header: String, data: [UInt8], padded: Bool = true) -> [UInt8] {
    var text = Array(header.utf8)
    while padded && text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
    return bytes(UInt64(text.count)) + text + data
  }

  /// The little-endian bytes of a number.
  public static func bytes(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

  public static func bytes(_ value: Float) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
  }
}
