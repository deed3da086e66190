import Glibc

/// Paths on disk as hosts give them.
public enum DiskPath {
  /// Whether it names a regular file.
  public static func isFile(_ path: String) -> Bool {
    var status = stat()
    return FilePath.isUsable(path) && stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// The folder and the name in it.
  public static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
  }

  /// Whether two paths lead to one thing.
  public static func isSame(_ first: String, _ second: String) -> Bool {
    if first == second { return true }
    var (a, b) = (stat(), stat())
    guard FilePath.isUsable(first), FilePath.isUsable(second), stat(first, &a) == 0, stat(second, &b) == 0 else {
      return false
    }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }
}
