import Glibc

/// The kernel's files of lines like `name : value`.
enum TextFile {
  /// The value of the first line that begins so.
  static func field(_ name: String, of path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 4096)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      guard text.hasPrefix(name), let colon = text.firstIndex(of: ":") else { continue }
      return String(text[text.index(after: colon)...].drop { $0.isWhitespace }.prefix { $0 != "\n" })
    }
    return nil
  }

  /// A size of this process in bytes, by its name in /proc/self/status; 0 where it is not told.
  static func memory(_ name: String) -> Double {
    let text = field(name, of: "/proc/self/status") ?? ""
    return (Double(text.prefix { $0 != " " }) ?? 0) * 1024
  }
}
