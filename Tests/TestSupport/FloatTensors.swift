import Platform

/// The F32 tensors of a safetensors file, read without the code under test: for fixtures and for files made by tests.
public struct FloatTensors {
  public struct Missing: Error { let name: String }

  private let header: String
  private let data: ArraySlice<UInt8>

  public init(_ path: String) throws { self.init(bytes: try TemporaryFolder.read(path)) }

  public init(bytes: [UInt8]) {
    let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    header = String(decoding: bytes[8..<8 + length], as: UTF8.self)
    data = bytes[(8 + length)...]
  }

  /// The names, in the order of the header.
  public var names: [String] {
    // A tensor's name stands before the brace of its entry: `…,"name":{`.
    header.split(separator: "{").filter { $0.hasSuffix("\":") }.compactMap { part in
      part.dropLast(2).split(separator: "\"").last.map(String.init)
    }.filter { $0 != "__metadata__" }
  }

  /// The numbers between the brackets after a key of a tensor's entry.
  private func numbers(_ key: String, of name: String) throws -> [Int] {
    guard let entry = header.firstRange(of: "\"\(name)\":{")?.upperBound,
      let start = header[entry...].firstRange(of: "\"\(key)\":[")?.upperBound,
      let end = header[start...].firstIndex(of: "]")
    else { throw Missing(name: name) }
    return header[start..<end].split(separator: ",").compactMap { Int($0) }
  }

  public func shape(_ name: String) throws -> [Int] { try numbers("shape", of: name) }

  public subscript(name: String) -> [Float] {
    get throws {
      let range = try numbers("data_offsets", of: name)
      let bytes = Array(data[(data.startIndex + range[0])..<(data.startIndex + range[1])])
      return bytes.withUnsafeBytes { raw in
        (0..<raw.count / 4).map {
          Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
        }
      }
    }
  }

  /// A tensor of whole numbers stored as F32.
  public func tokens(_ name: String) throws -> [Int32] { try self[name].compactMap { Int32(exactly: $0) } }
}
