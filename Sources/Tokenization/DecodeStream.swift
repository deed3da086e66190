import Platform

/// Decodes tokens one after another, to the bytes that are certain after each.
///
/// All bytes together are what `Tokenizer.decode` makes of all tokens, except that bytes which are not UTF-8 are given
/// as they are. A character may be cut between two calls. Each call looks at its own token only. A value: a copy goes on
/// from the same place.
public struct DecodeStream: Sendable {
  let tokenizer: Tokenizer
  let skipSpecial: Bool
  /// No token has been decoded yet.
  var isFirst = true
  /// How many of `Decoder.stripByte` are still dropped if nothing else comes before them.
  private var stripCount: Int

  init(_ tokenizer: Tokenizer, skipSpecial: Bool) {
    self.tokenizer = tokenizer
    self.skipSpecial = skipSpecial
    stripCount = tokenizer.decoder.stripCount
  }

  /// Appends the bytes that `token` adds to the text. Ids without a token add none, as in `tokenizers`.
  public mutating func append(_ token: Int32, into bytes: inout Vector<UInt8>) throws(BoneSoupError) {
    guard let piece = next(token) else { return }
    try appendPiece(piece, of: token, to: &bytes)
  }

  /// What the token adds; nil where it adds nothing.
  func next(_ token: Int32) -> DecodedPieces.Piece? {
    guard let piece = tokenizer.decoded[token], !(skipSpecial && piece.isSpecial) else { return nil }
    return piece
  }

  mutating func appendPiece(
    _ piece: DecodedPieces.Piece, of token: Int32, to bytes: inout Vector<UInt8>
  ) throws(BoneSoupError) {
    let wasFirst = isFirst
    isFirst = false
    let decoder = tokenizer.decoder
    if !wasFirst, decoder.joinsBySpace { try bytes.append(0x20) }
    guard wasFirst, decoder.firstPieceDiffers, let spelling = tokenizer.piece(token) else {
      return try appendText(piece.bytes, to: &bytes)
    }
    var first = try Vector<UInt8>(allocator: tokenizer.allocator, purpose: "the text of a piece")
    var work = try Decoder.Work(allocator: tokenizer.allocator)
    _ = try decoder.append(spelling, isFirst: true, to: &first, &work)
    try appendText(first.span, to: &bytes)
    withExtendedLifetime(first) {}
  }

  /// Appends a part of the joined text, less what is stripped at its start.
  mutating func appendText(_ text: UTF8Bytes, to bytes: inout Vector<UInt8>) throws(BoneSoupError) {
    var start = 0
    while stripCount > 0, start < text.count {
      guard text[start] == tokenizer.decoder.stripByte else {
        stripCount = 0
        break
      }
      start &+= 1
      stripCount &-= 1
    }
    try bytes.append(contentsOf: UTF8Bytes(rebasing: text[start...]))
  }
}
