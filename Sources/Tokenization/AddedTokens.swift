import Platform

/// The tokens that a file adds to the model's vocabulary, and what of them is recognised in a text.
struct AddedTokens: ~Copyable {
  /// More than this, or longer ones, are refused: real files have a few thousand of a few dozen bytes.
  static let limit = 1 << 16
  static let contentLimit = 1024

  struct Token: Sendable {
    var id: Int32
    /// Matches only where no `\w` is beside it.
    var isSingleWord: Bool
    /// Takes the spaces before or after it with it.
    var stripsLeft: Bool
    var stripsRight: Bool
    /// Is looked for in the normalised text, in its normalised form.
    var isNormalized: Bool
    var isSpecial: Bool
  }

  private(set) var tokens: [Token] = []
  /// Those looked for before the text is normalised, and those after.
  private(set) var raw: TokenMatcher
  private(set) var normalized: TokenMatcher
  /// All, by their content.
  private var contents: TokenMatcher

  init(allocator: Allocator) throws(BoneSoupError) {
    let raw = try TokenMatcher(allocator: allocator)
    let normalized = try TokenMatcher(allocator: allocator)
    contents = try TokenMatcher(allocator: allocator)
    self.raw = raw
    self.normalized = normalized
  }

  /// - Parameter pattern: the token's content, normalised where the token is.
  mutating func append(_ token: Token, content: UTF8Bytes, pattern: UTF8Bytes) throws(BoneSoupError) {
    if token.isNormalized {
      try normalized.append(pattern, token: tokens.count)
    } else {
      try raw.append(pattern, token: tokens.count)
    }
    try contents.append(content, token: tokens.count)
    tokens.append(token)
  }

  /// Ends the appending.
  /// - Returns: a content that was appended twice, valid as long as this object.
  mutating func finish() -> UTF8Bytes? {
    raw.finish()
    normalized.finish()
    contents.finish()
    return contents.firstDuplicate
  }

  /// The id of the added token of exactly this content.
  func id(of content: UTF8Bytes) -> Int32? {
    contents.token(equalTo: content).map { tokens[$0].id }
  }
}
