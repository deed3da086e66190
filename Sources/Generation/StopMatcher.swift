import Platform

/// Finds the first stop string that a text completes, byte by byte (Knuth, Morris, Pratt 1977, once per string).
///
/// First is the one that ends first: the text can stop there without a look ahead. Of several that end at the same
/// byte it is the longest.
public struct StopMatcher: Sendable {
  public static let maximumStrings = 16
  public static let maximumBytes = 256

  private struct Pattern: Sendable {
    let bytes: [UInt8]
    /// borders[i]: length of the longest proper prefix of bytes[0...i] that is also its suffix.
    let borders: [Int]
    /// How many of the first bytes the text ends with; less than all.
    var matched = 0

    init(_ bytes: [UInt8]) {
      var borders = [0]
      for byte in bytes.dropFirst() {
        var length = borders[borders.count - 1]
        while length > 0, bytes[length] != byte { length = borders[length - 1] }
        borders.append(bytes[length] == byte ? length + 1 : 0)
      }
      self.bytes = bytes
      self.borders = borders
    }

    /// Whether the byte completes the string.
    mutating func advance(_ byte: UInt8) -> Bool {
      while matched > 0, bytes[matched] != byte { matched = borders[matched - 1] }
      if bytes[matched] == byte { matched += 1 }
      guard matched == bytes.count else { return false }
      matched = borders[matched - 1]
      return true
    }
  }

  private var patterns: [Pattern]

  /// - Parameter strings: at most 16, each of 1 to 256 bytes of UTF-8.
  public init(_ strings: [[UInt8]]) throws(BoneSoupError) {
    guard strings.count <= Self.maximumStrings else {
      throw .invalidArgument("there are \(strings.count) stop strings; at most \(Self.maximumStrings) are taken")
    }
    for (index, string) in strings.enumerated() {
      guard !string.isEmpty, string.count <= Self.maximumBytes else {
        throw .invalidArgument(
          "stop string \(index) has \(string.count) bytes; it must have 1 to \(Self.maximumBytes)")
      }
      guard String(validating: string, as: UTF8.self) != nil else {
        throw .invalidArgument("stop string \(index) is not valid UTF-8, and so can't be part of a text")
      }
    }
    patterns = strings.map(Pattern.init)
  }

  /// The index and length of the stop string that ends with this byte; nil where none does.
  mutating func advance(_ byte: UInt8) -> (index: Int, length: Int)? {
    var found: (index: Int, length: Int)?
    for index in patterns.indices where patterns[index].advance(byte) {
      let length = patterns[index].bytes.count
      if length > found?.length ?? 0 { found = (index, length) }
    }
    return found
  }

  /// Length of the longest suffix of the text so far that a stop string begins with.
  var pendingBytes: Int { patterns.reduce(0) { max($0, $1.matched) } }
}
