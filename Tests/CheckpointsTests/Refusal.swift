import Checkpoints
import Kernels
import Platform
import TestSupport
import Testing

/// The error that `body` throws; nil where it throws none.
func refusal<Result>(_ body: () throws(BoneSoupError) -> Result) -> BoneSoupError? {
  do {
    _ = try body()
    return nil
  } catch { return error }
}

/// Expects an error whose message has all these parts.
func expectRefusal<Result>(
  _ parts: String..., at location: SourceLocation = #_sourceLocation, by body: () throws(BoneSoupError) -> Result
) {
  guard let error = refusal(body) else {
    Issue.record("accepted; expected \(parts)", sourceLocation: location)
    return
  }
  for part in parts {
    #expect(error.message.contains(part), "\(error.message) lacks \(part)", sourceLocation: location)
  }
}

/// A provider over files in memory, each in a buffer of exactly its size.
func memoryFiles(_ files: [(String, [UInt8])], mode: LoadMode = .map) throws(BoneSoupError) -> FileProvider {
  final class Owner: Sendable {
    let buffers: [Buffer]
    init(_ buffers: [Buffer]) { self.buffers = buffers }
  }
  var buffers: [Buffer] = []
  var entries: [FileTable.Entry] = []
  for (name, bytes) in files {
    let buffer = try Buffer(byteCount: bytes.count, allocator: .system, purpose: name)
    UnsafeMutableRawBufferPointer(start: buffer.pointer, count: bytes.count).copyBytes(from: bytes)
    buffers.append(buffer)
    entries.append(FileTable.Entry(name: name, buffer: buffer.bytes))
  }
  return try FileProvider(table: FileTable(entries, owner: Owner(buffers)), mode: mode)
}

/// Opens a file of these bytes as "model.safetensors", in memory of exactly its size.
func openSafetensors(_ bytes: [UInt8]) throws(BoneSoupError) -> Safetensors {
  let files = try memoryFiles([("model.safetensors", bytes)])
  return try Safetensors(files.open("model.safetensors", allocator: .system), allocator: .system)
}

extension FileProvider {
  /// A copy of a file's bytes.
  func contents(_ name: String) throws(BoneSoupError) -> [UInt8] {
    let file = try open(name, allocator: .system)
    return withExtendedLifetime(file) { Array(file.bytes) }
  }
}

extension TensorView {
  /// The elements, for f32.
  var floats: [Float] { Array(bytes.bindMemory(to: Float.self)) }
}
