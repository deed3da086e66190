/// Rules of path strings.
enum FilePath {
  /// Linux's own limit.
  static let maximumBytes = 4096

  /// Whether the system can be given this string.
  static func isUsable(_ path: String) -> Bool {
    !path.isEmpty && path.utf8.count < maximumBytes && !path.utf8.contains(0)
  }

  static func join(_ folder: String, _ name: String) -> String {
    if name.hasPrefix("/") { return name }
    if name.isEmpty || name == "." { return folder }
    return folder.hasSuffix("/") ? folder + name : folder + "/" + name
  }

  /// A table's name with `.` and `..` resolved and without a leading slash; nil where it leads out of the table.
  static func normalise(_ name: String) -> String? {
    guard !name.utf8.contains(0) else { return nil }
    var parts: [Substring] = []
    for part in name.split(separator: "/") {
      switch part {
      case ".": continue
      case "..": if parts.popLast() == nil { return nil }
      default: parts.append(part)
      }
    }
    return parts.joined(separator: "/")
  }
}
