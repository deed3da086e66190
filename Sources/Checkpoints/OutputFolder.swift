import Glibc
public import Platform

/// A folder that comes into being whole: files are written to `.NAME.partial` beside it, which is renamed at the end.
///
/// Whatever ends the process in between, the folder is absent or whole; what is left of a partial one is removed by the
/// next run with the same target. Dropping the object without `commit` removes the partial folder.
public final class OutputFolder: @unchecked Sendable {
  /// What the folder will be called.
  public let path: String
  private let partial: String
  /// Of the partial folder, locked as long as somebody writes to it.
  private let descriptor: Int32
  /// Files so far, held open until they are on the disk.
  private var files: [OutputFile] = []
  private let lock = Lock()
  private let isSynced: Bool
  private var isCommitted = false

  /// At most so many files.
  static let maximumFiles = 8192

  /// - Parameters:
  ///   - path: does not exist, or is an empty folder; the folder that it is in exists.
  ///   - byteCount: of all that will be written; checked against the free space of the disk.
  ///   - isSynced: whether `commit` waits until everything is on the disk, so that it survives a loss of power.
  public init(_ path: String, byteCount: Int, isSynced: Bool = true) throws(BoneSoupError) {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    guard FilePath.isUsable(path), !name.isEmpty, name != ".", name != "..", name.utf8.count <= 240 else {
      throw .invalidArgument("\"\(path.prefix(200))\" cannot be the path of a new folder")
    }
    self.path = path
    self.isSynced = isSynced
    let parent = path.utf8.count == name.utf8.count ? "." : String(path.dropLast(name.count))
    partial = FilePath.join(parent, ".\(name).partial")
    try Self.requireAbsent(path)
    try DiskFile.requireFolder(parent)
    guard mkdir(partial, 0o777) == 0 || errno == EEXIST else {
      throw OutputFile.failure(partial, "cannot be created")
    }
    descriptor = open(partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { throw OutputFile.failure(partial, "cannot be opened") }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      isCommitted = true
      throw .busy("\(path) is being written by somebody else, who holds \(partial)")
    }
    do {
      try Self.removeFiles(in: partial)
      try Self.requireRoom(byteCount, in: partial)
    } catch {
      rmdir(partial)
      close(descriptor)
      isCommitted = true
      throw error
    }
  }

  deinit {
    guard !isCommitted else { return }
    try? Self.removeFiles(in: partial)
    rmdir(partial)
    close(descriptor)
  }

  /// Creates a file of exactly `byteCount` bytes. The name is one of this folder, without slashes.
  public func create(_ name: String, byteCount: Int) throws(BoneSoupError) -> OutputFile {
    guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0),
      name.utf8.count <= 255
    else { throw .invalidArgument("\"\(name.prefix(200))\" cannot name a file") }
    let file = try OutputFile(FilePath.join(partial, name), byteCount: byteCount)
    try lock.withLock { () throws(BoneSoupError) in
      guard files.count < Self.maximumFiles else {
        throw .unsupported("\(path) would have more than \(Self.maximumFiles) files")
      }
      files.append(file)
    }
    return file
  }

  /// Writes a whole file.
  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(BoneSoupError) {
    try create(name, byteCount: bytes.count).write(bytes, at: 0)
  }

  public func write(_ name: String, text: String) throws(BoneSoupError) {
    var bytes = try Vector<UInt8>(capacity: text.utf8.count, allocator: .system, purpose: "the text of a file")
    try bytes.append(text: text)
    try write(name, UnsafeRawBufferPointer(bytes.span))
  }

  /// Gives the folder its name. Nothing may be written afterwards.
  ///
  /// - Parameter monitor: looked at between files; after a cancel the folder is as absent as before.
  public func commit(monitor: Monitor = .none) throws(BoneSoupError) {
    if isSynced {
      for file in files {
        try monitor.check()
        try file.sync()
      }
      guard fsync(descriptor) == 0 else { throw OutputFile.failure(partial, "cannot be written to the disk") }
    }
    files = []
    try monitor.check()
    try Self.requireAbsent(path)
    // Takes the place of an empty folder, and of nothing else.
    guard rename(partial, path) == 0 else { throw OutputFile.failure(path, "cannot be made of \(partial)") }
    isCommitted = true
    close(descriptor)
    if isSynced { Self.syncParent(of: path) }
  }

  /// So that the new name survives a loss of power too; where the system refuses, it is the file system's own time.
  private static func syncParent(of path: String) {
    let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  private static func requireAbsent(_ path: String) throws(BoneSoupError) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      guard errno == ENOENT else { throw OutputFile.failure(path, "cannot be examined") }
      return
    }
    guard status.st_mode & S_IFMT == S_IFDIR, try names(in: path).isEmpty else {
      throw .invalidArgument("\(path) exists already; choose a new folder, or remove it first")
    }
  }

  private static func requireRoom(_ byteCount: Int, in folder: String) throws(BoneSoupError) {
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else { return }
    let (free, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    guard overflow || free >= UInt64(max(byteCount, 0)) else {
      throw .io(
        "\(folder): \(byteCount) bytes are to be written, and the disk has \(free) free; make room or choose another "
          + "folder")
    }
  }

  /// Removes the files of an earlier run. Folders are none of ours, and stay.
  private static func removeFiles(in folder: String) throws(BoneSoupError) {
    for name in try names(in: folder) {
      let path = FilePath.join(folder, name)
      guard unlink(path) == 0 || errno == ENOENT else { throw OutputFile.failure(path, "cannot be removed") }
    }
  }

  private static func names(in folder: String) throws(BoneSoupError) -> [String] {
    guard let directory = opendir(folder) else { throw OutputFile.failure(folder, "cannot be read") }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory), names.count <= maximumFiles {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}
