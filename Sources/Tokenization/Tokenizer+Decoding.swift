import Platform

extension Tokenizer {
  /// Appends the text of tokens, always UTF-8: bytes that are not become U+FFFD, as in `tokenizers`. Ids without a token
  /// are passed over.
  /// - Parameters:
  ///   - skipSpecial: leaves out special tokens.
  ///   - bytes: unchanged where the call throws.
  public func decode(
    _ tokens: UnsafeBufferPointer<Int32>, skipSpecial: Bool, into bytes: inout Vector<UInt8>
  ) throws(BoneSoupError) {
    let start = bytes.count
    do {
      switch decoder.form {
      case .text:
        var stream = makeStream(skipSpecial: skipSpecial)
        for token in tokens { try stream.append(token, into: &bytes) }
      case .byteLevel:
        var raw = try Vector<UInt8>(allocator: allocator, purpose: "the decoded text")
        var stream = makeStream(skipSpecial: skipSpecial)
        for token in tokens { try stream.append(token, into: &raw) }
        try appendReplacingInvalid(raw.span, to: &bytes)
        withExtendedLifetime(raw) {}
      case .byteFallback: try decodeFallback(tokens, skipSpecial: skipSpecial, into: &bytes)
      }
    } catch {
      bytes.truncate(to: start)
      throw error
    }
  }

  /// Appends the bytes that a token adds to a text after other tokens; they need not be whole characters.
  public func appendBytes(of token: Int32, to bytes: inout Vector<UInt8>) throws(BoneSoupError) {
    if let piece = decoded[token] { try bytes.append(contentsOf: piece.bytes) }
  }

  /// A decoder for tokens that come one after another.
  public func makeStream(skipSpecial: Bool) -> DecodeStream { DecodeStream(self, skipSpecial: skipSpecial) }

  /// A run of byte pieces is a text; where it isn't UTF-8, each of its bytes becomes U+FFFD.
  private func decodeFallback(
    _ tokens: UnsafeBufferPointer<Int32>, skipSpecial: Bool, into bytes: inout Vector<UInt8>
  ) throws(BoneSoupError) {
    var stream = makeStream(skipSpecial: skipSpecial)
    var run = try Vector<UInt8>(allocator: allocator, purpose: "the decoded text")
    for token in tokens {
      guard let piece = stream.next(token) else { continue }
      if piece.isByte {
        stream.isFirst = false
        try run.append(contentsOf: piece.bytes)
      } else {
        try appendRun(&run, &stream, to: &bytes)
        try stream.appendPiece(piece, of: token, to: &bytes)
      }
    }
    try appendRun(&run, &stream, to: &bytes)
  }

  private func appendRun(
    _ run: inout Vector<UInt8>, _ stream: inout DecodeStream, to bytes: inout Vector<UInt8>
  ) throws(BoneSoupError) {
    if !isUTF8(run.span) {
      let count = run.count
      run.removeAll()
      for _ in 0..<count { try appendReplacementCharacter(to: &run) }
    }
    try stream.appendText(run.span, to: &bytes)
    run.removeAll()
  }

  private func isUTF8(_ bytes: UTF8Bytes) -> Bool {
    var offset = 0
    while offset < bytes.count {
      let scalar = UTF8Scalar(in: bytes, at: offset)
      guard scalar.isValid else { return false }
      offset &+= scalar.length
    }
    return true
  }
}
