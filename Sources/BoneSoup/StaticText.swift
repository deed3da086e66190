import Glibc

/// C strings that live as long as the process.
enum StaticText {
  static var empty: UnsafePointer<CChar> { pointer("") }

  /// A literal as a C string: its bytes end in NUL.
  static func pointer(_ text: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}

/// A C string that an object keeps for its host.
final class KeptText: @unchecked Sendable {
  let pointer: UnsafePointer<CChar>

  /// An empty text where the system has no memory for a copy.
  init(_ text: String) {
    copy = strdup(text)
    pointer = copy.map { UnsafePointer($0) } ?? StaticText.empty
  }

  private let copy: UnsafeMutablePointer<CChar>?

  deinit { free(copy) }
}
