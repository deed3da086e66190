import Glibc
import Platform

/// A folder of its own for a test; removed with the object.
public final class TemporaryFolder: Sendable {
  public let path: String

  public init() throws(BoneSoupError) {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array((parent + "/bonesoup-test-XXXXXX").utf8CString)
    let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } != nil }
    guard made else { throw .io("no temporary folder: errno \(errno)") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    var names: [String] = []
    if let folder = opendir(path) {
      while let entry = readdir(folder) {
        names.append(
          withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
          })
      }
      closedir(folder)
    }
    for name in names where name != "." && name != ".." { remove(path + "/" + name) }
    rmdir(path)
  }

  /// Writes a file, over an old one, making the folders in its name.
  public func write(_ name: String, _ bytes: some Collection<UInt8>) throws(BoneSoupError) {
    var folder = path
    for part in name.split(separator: "/").dropLast() {
      folder += "/" + part
      mkdir(folder, 0o755)
    }
    guard let file = fopen(path + "/" + name, "wb") else { throw .io("\(name): errno \(errno)") }
    defer { fclose(file) }
    let array = Array(bytes)
    guard fwrite(array, 1, array.count, file) == array.count else { throw .io("\(name): errno \(errno)") }
  }

  public func write(_ name: String, _ text: String) throws(BoneSoupError) { try write(name, text.utf8) }

  /// The bytes of a file anywhere.
  public static func read(_ path: String) throws(BoneSoupError) -> [UInt8] {
    guard let file = fopen(path, "rb") else { throw .io("\(path): errno \(errno)") }
    defer { fclose(file) }
    fseek(file, 0, SEEK_END)
    let count = ftell(file)
    rewind(file)
    return [UInt8](unsafeUninitializedCapacity: max(count, 0)) { $1 = fread($0.baseAddress, 1, max(count, 0), file) }
  }
}
