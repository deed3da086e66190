import JSON
import Platform

/// A document over a copy of the bytes, in a buffer of exactly their size.
func parse(
  _ bytes: some Collection<UInt8>, maximumBytes: Int = 1 << 30, maximumDepth: Int = 64, monitor: Monitor = .none
) throws(BoneSoupError) -> JSONDocument {
  let buffer = try Buffer(byteCount: bytes.count, allocator: .system, purpose: "the sample")
  UnsafeMutableRawBufferPointer(start: buffer.pointer, count: bytes.count).copyBytes(from: bytes)
  return try JSONDocument(
    buffer.bytes, owner: buffer, file: "sample.json", maximumBytes: maximumBytes, maximumDepth: maximumDepth,
    allocator: .system, monitor: monitor)
}

func parse(_ text: String) throws(BoneSoupError) -> JSONValue { try parse(text.utf8).root }

/// The message of the error that parsing throws; nil where it throws none.
func refusal(_ bytes: some Collection<UInt8>) -> String? {
  do {
    _ = try parse(bytes)
    return nil
  } catch { return error.message }
}

/// Reads every value of a document in every way.
func readEverything(_ value: JSONValue) throws {
  _ = value.path
  switch value.kind {
  case .null: break
  case .bool: _ = try value.bool
  case .number:
    _ = try? value.int
    _ = try? value.double
  case .string:
    var bytes = try Vector<UInt8>(allocator: .system, purpose: "a text")
    try value.appendText(to: &bytes)
    let text = String(decoding: bytes.span, as: UTF8.self)
    guard value.equals(text) else { throw BoneSoupError.internalFault("a string differs from itself") }
  case .array: for element in try value.elements { try readEverything(element) }
  case .object:
    for member in try value.members {
      try readEverything(member.key)
      try readEverything(member.value)
    }
  }
}
