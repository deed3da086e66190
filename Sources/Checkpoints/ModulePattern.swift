import Platform

/// A key of `rank_pattern` or `alpha_pattern`: the end of a module's name, as the regular expression
/// `(.*\.)?(key)$` that PEFT makes of it, for keys that are plain names.
///
/// As there, a dot stands for any character, `\.` for a dot, and a leading `^` for the start of the whole name.
struct ModulePattern {
  private static let anyByte: UInt16 = 256

  private var bytes: [UInt16] = []
  private let isAnchored: Bool

  /// nil for a key with any other operator of regular expressions.
  init?(_ key: String) {
    isAnchored = key.hasPrefix("^")
    var isEscaped = false
    for byte in key.utf8.dropFirst(isAnchored ? 1 : 0) {
      if isEscaped {
        guard byte == UInt8(ascii: ".") else { return nil }
        bytes.append(UInt16(byte))
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: ".") {
        bytes.append(Self.anyByte)
      } else {
        guard !"*+?[](){}|$^".utf8.contains(byte) else { return nil }
        bytes.append(UInt16(byte))
      }
    }
    if isEscaped { return nil }
  }

  func matches(_ module: String) -> Bool {
    let name = module.utf8
    let lead = name.count - bytes.count
    guard lead == 0 || lead > 0 && !isAnchored else { return false }
    let start = name.index(name.startIndex, offsetBy: lead)
    guard lead == 0 || name[name.index(before: start)] == UInt8(ascii: ".") else { return false }
    return zip(name[start...], bytes).allSatisfy { UInt16($0) == $1 || $1 == Self.anyByte }
  }
}
