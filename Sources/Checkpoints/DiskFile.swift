import Glibc
import Platform

/// A regular file on disk, open for reading; closed with the object.
final class DiskFile: Sendable {
  private let path: String
  private let descriptor: Int32
  private let size: Int
  private let identity: FileIdentity

  /// Follows symbolic links; refuses all but regular files, and waits for none of them.
  init(_ path: String) throws(BoneSoupError) {
    var descriptor: Int32
    repeat {
      descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
    } while descriptor < 0 && errno == EINTR
    guard descriptor >= 0 else { throw Self.failure(path, "cannot be opened") }
    let found: (identity: FileIdentity, size: Int, mode: mode_t)
    do throws(BoneSoupError) {
      found = try Self.examine(descriptor, path)
      guard found.mode & S_IFMT == S_IFREG else {
        let kind = found.mode & S_IFMT == S_IFDIR ? "a folder" : "a device, pipe or socket"
        throw .io("\(path) is \(kind); a file is needed")
      }
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
    size = found.size
    identity = found.identity
  }

  deinit { close(descriptor) }

  func read(
    mode: LoadMode, maximumBytes: Int, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) -> FileBytes {
    try FileCopy.requireSize(size, of: path, maximum: maximumBytes)
    if mode == .map, size > FileCopy.smallFile {
      let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
      guard let start, start != MAP_FAILED else { throw Self.failure(path, "cannot be mapped") }
      return FileBytes(
        name: path, identity: identity, mapping: UnsafeRawBufferPointer(start: start, count: size), disk: self)
    }
    let buffer = try FileCopy.read(name: path, size: size, allocator: allocator, monitor: monitor) {
      (offset, destination) throws(BoneSoupError) in
      try self.fill(destination, from: offset)
    }
    return FileBytes(name: path, identity: identity, buffer: buffer)
  }

  /// Reads bytes from `offset` on, all of them. Any thread.
  func fill(_ destination: UnsafeMutableRawBufferPointer, from offset: Int) throws(BoneSoupError) {
    guard let start = destination.baseAddress else { return }
    var done = 0
    while done < destination.count {
      let count = pread(descriptor, start + done, destination.count - done, offset + done)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw Self.failure(path, "cannot be read") }
      guard count > 0 else {
        throw .io("\(path) ended after \(offset + done) of \(size) bytes: it was cut short while it was read")
      }
      done += count
    }
  }

  /// Throws where size or time are no longer those of the opening.
  func requireUnchanged() throws(BoneSoupError) {
    guard try Self.examine(descriptor, path).identity == identity else {
      throw .io("\(path) was changed while it was read")
    }
  }

  private static func examine(
    _ descriptor: Int32, _ path: String
  ) throws(BoneSoupError) -> (identity: FileIdentity, size: Int, mode: mode_t) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(path, "cannot be examined") }
    let identity = FileIdentity.file(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int(status.st_size),
      modified: Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec))
    return (identity, Int(status.st_size), status.st_mode)
  }

  static func exists(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 || errno != ENOENT && errno != ENOTDIR
  }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  static func requireFolder(_ path: String) throws(BoneSoupError) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw failure(path, "cannot be opened") }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw .io("\(path) is a file; a folder is needed") }
  }

  /// The alphabetically first name with that ending; nil where the folder cannot be read.
  static func firstName(in folder: String, endingIn suffix: String) -> String? {
    guard let directory = opendir(folder) else { return nil }
    defer { closedir(directory) }
    var first: String?
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasSuffix(suffix), first.map({ name < $0 }) ?? true { first = name }
    }
    return first
  }

  /// From `errno`, which the failed call has just set.
  private static func failure(_ path: String, _ what: String) -> BoneSoupError {
    let code = errno
    if code == ENOENT || code == ENOTDIR { return .notFound("\(path) does not exist") }
    return .io("\(path) \(what): \(String(cString: strerror(code)))")
  }
}
