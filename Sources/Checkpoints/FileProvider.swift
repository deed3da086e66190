import Glibc
import JSON
import Platform

/// Files by name, from a folder on disk or from a host's table.
public final class FileProvider: Sendable {
  enum Source: Sendable {
    /// A path without a trailing slash, except for the root.
    case disk(String)
    /// The folder inside the table: empty, or ending in a slash.
    case table(FileTable, folder: String)
  }

  let source: Source
  private let mode: LoadMode

  private init(_ source: Source, mode: LoadMode) {
    self.source = source
    self.mode = mode
  }

  /// The files of a folder on disk. Names may be absolute or contain `..`.
  public convenience init(folder path: String, mode: LoadMode = .map) throws(BoneSoupError) {
    guard FilePath.isUsable(path) else {
      throw .invalidArgument("\"\(path.prefix(200))\" is no path: it is empty, too long or contains a NUL")
    }
    try DiskFile.requireFolder(path)
    self.init(.disk(path), mode: mode)
  }

  /// The files of a table. Names are resolved inside it. With `LoadMode.copy` the host's buffers are copied, and may be
  /// freed when what is opened from them is open.
  public convenience init(table: FileTable, mode: LoadMode = .map) {
    self.init(.table(table, folder: ""), mode: mode)
  }

  /// The name of the file in messages: its path, or its name in the table.
  public func describe(_ name: String = "") -> String {
    switch source {
    case .disk(let folder): FilePath.join(folder, name)
    case .table(_, let folder): FilePath.normalise(folder + name) ?? folder + name
    }
  }

  /// Whether its files can be opened again at any time: a host's callbacks, and buffers that were copied, are the host's
  /// after the open.
  public var staysReadable: Bool {
    switch source {
    case .disk: true
    case .table(let table, _): mode == .map && table.entries.allSatisfy(\.isBuffer)
    }
  }

  /// Whether there is something of that name, readable or not.
  public func exists(_ name: String) -> Bool {
    switch source {
    case .disk(let folder):
      let path = FilePath.join(folder, name)
      return FilePath.isUsable(path) && DiskFile.exists(path)
    case .table(let table, _):
      return tableName(name).flatMap { table.position(of: $0) } != nil || isFolder(name)
    }
  }

  public func isFolder(_ name: String) -> Bool {
    switch source {
    case .disk(let folder):
      let path = FilePath.join(folder, name)
      return FilePath.isUsable(path) && DiskFile.isFolder(path)
    case .table(let table, _):
      guard let name = tableName(name) else { return false }
      return table.firstName(in: name.isEmpty ? "" : name + "/") { _ in true } != nil
    }
  }

  /// The files of another folder, named from this one. Throws where there is none.
  public func folder(_ name: String) throws(BoneSoupError) -> FileProvider {
    switch source {
    case .disk(let folder):
      return try FileProvider(folder: FilePath.join(folder, name), mode: mode)
    case .table(let table, _):
      guard let full = tableName(name), isFolder(name) else {
        throw .notFound("the table has no files in the folder \"\(describe(name).prefix(200))\"")
      }
      return FileProvider(.table(table, folder: full.isEmpty ? "" : full + "/"), mode: mode)
    }
  }

  /// The name of a file in this folder that ends so, nil where there is none.
  public func firstName(endingIn suffix: String) -> String? {
    switch source {
    case .disk(let folder): DiskFile.firstName(in: folder, endingIn: suffix)
    case .table(let table, let folder):
      table.firstName(in: folder) { !$0.contains("/") && $0.hasSuffix(suffix) }
        .map { String($0.dropFirst(folder.count)) }
    }
  }

  /// Opens a file. One of up to 1 MiB is always read into memory, so that it cannot change any more.
  ///
  /// - Parameters:
  ///   - maximumBytes: a larger file is refused.
  ///   - allocator: where the bytes are copied to, in the cases in which they are.
  ///   - monitor: looked at every 4 MiB, and told the share copied.
  public func open(
    _ name: String, maximumBytes: Int = .max, allocator: Allocator, monitor: Monitor = .none
  ) throws(BoneSoupError) -> FileBytes {
    try monitor.check()
    switch source {
    case .disk(let folder):
      let path = FilePath.join(folder, name)
      guard FilePath.isUsable(path) else {
        throw .invalidArgument("\"\(path.prefix(200))\" is no path: it is empty, too long or contains a NUL")
      }
      return try DiskFile(path).read(mode: mode, maximumBytes: maximumBytes, allocator: allocator, monitor: monitor)
    case .table(let table, _):
      guard let full = tableName(name), let position = table.position(of: full) else {
        throw .notFound("the table has no file \"\(describe(name).prefix(200))\"")
      }
      return try table.read(position, mode: mode, maximumBytes: maximumBytes, allocator: allocator, monitor: monitor)
    }
  }

  /// Opens and parses a JSON file.
  public func json(
    _ name: String, maximumBytes: Int, maximumDepth: Int = 64, allocator: Allocator, monitor: Monitor = .none
  ) throws(BoneSoupError) -> JSONDocument {
    let file = try open(name, maximumBytes: maximumBytes, allocator: allocator, monitor: monitor)
    return try JSONDocument(
      file.bytes, owner: file, file: file.name, maximumBytes: maximumBytes, maximumDepth: maximumDepth,
      allocator: allocator, monitor: monitor)
  }

  /// The name in the table, where this provider is one; an absolute name is from the table's top.
  private func tableName(_ name: String) -> String? {
    guard case .table(_, let folder) = source else { return nil }
    return FilePath.normalise(name.hasPrefix("/") ? name : folder + name)
  }
}
