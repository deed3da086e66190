/// Everything that can go wrong, one case for each `bsoup_status`.
///
/// The text is written for the person who must act on it: what was wrong, with which value, in which file and tensor,
/// and what to do.
public enum BoneSoupError: Error, Sendable, Equatable {
  /// A caller's value is out of its range or of the wrong form.
  case invalidArgument(String)
  /// The system, the host's allocator or the engine's memory budget refused.
  case outOfMemory(String)
  /// A file, tensor, objective or preset of that name does not exist.
  case notFound(String)
  /// The operating system or the host's `read_at` failed.
  case io(String)
  /// A file breaks its format.
  case malformed(String)
  /// A file or a request is valid, and this version does not do it.
  case unsupported(String)
  /// Parts that do not belong together: shapes, vocabularies, fingerprints.
  case mismatch(String)
  /// The host cancelled.
  case cancelled
  /// Somebody else is using the session.
  case busy(String)
  /// The session's context has no room for the tokens.
  case contextFull(String)
  /// A handle that was freed, or never given out.
  case staleHandle(String)
  /// A preference or its coefficients break a guard rail.
  case guardRail(String)
  /// No coefficients give this preference: the matrix is singular, or the preference outside its span.
  case unsolvable(String)
  /// What was asked for is still being made.
  case notReady(String)
  /// A checksum in `soup.json` differs from the file's.
  case checksum(String)
  /// The process was forked after the library was first used.
  case forked(String)
  /// A fault of this library.
  case internalFault(String)

  /// The message for `bsoup_last_error`.
  public var message: String {
    switch self {
    case .invalidArgument(let text), .outOfMemory(let text), .notFound(let text), .io(let text), .malformed(let text),
      .unsupported(let text), .mismatch(let text), .busy(let text), .contextFull(let text), .staleHandle(let text),
      .guardRail(let text), .unsolvable(let text), .notReady(let text), .checksum(let text), .forked(let text),
      .internalFault(let text):
      text
    case .cancelled: "cancelled by the host"
    }
  }
}
