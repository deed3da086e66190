import Platform

extension Tokenizer {
  /// Appends the ids of a text.
  ///
  /// Takes n log n for a text of n bytes. An empty text has no ids but the template's.
  /// - Parameters:
  ///   - utf8: any UTF-8; anything else is `invalidArgument` with the offset.
  ///   - addSpecial: adds what the file's template puts around a text, such as the beginning-of-text token.
  ///   - parseSpecial: whether the spelling of a special token in the text is that token. Hugging Face always does so; a
  ///     host switches it off for text that it doesn't trust, and gets no special token out of it. Added tokens that
  ///     are not special are recognised in any case.
  ///   - ids: unchanged where the call throws.
  public func encode(
    _ utf8: UnsafeRawBufferPointer, addSpecial: Bool, parseSpecial: Bool, into ids: inout Vector<Int32>,
    monitor: Monitor = .none
  ) throws(BoneSoupError) {
    let text = utf8.bindMemory(to: UInt8.self)
    let start = ids.count
    do {
      try requireUTF8(text, monitor: monitor)
      if addSpecial { for id in template.before { try ids.append(id) } }
      var work = try EncodingWork(self)
      var scanner = AddedTokenScanner(text, parsesSpecial: parseSpecial, classes: classes)
      while let part = try scanner.next(added.raw, added.tokens, monitor: monitor) {
        if let token = part.token {
          try ids.append(token)
        } else {
          try encode(
            UTF8Bytes(rebasing: text[part.range]), isAtStart: part.range.lowerBound == 0, parseSpecial: parseSpecial,
            into: &ids, &work, monitor)
        }
      }
      if addSpecial { for id in template.after { try ids.append(id) } }
    } catch {
      ids.truncate(to: start)
      throw error
    }
  }

  /// A part of the text between the added tokens that are looked for before normalising.
  private func encode(
    _ text: UTF8Bytes, isAtStart: Bool, parseSpecial: Bool, into ids: inout Vector<Int32>,
    _ work: inout EncodingWork, _ monitor: Monitor
  ) throws(BoneSoupError) {
    var normalized = text
    var isAtStart = isAtStart
    if !normalizer.isEmpty {
      work.normalized.removeAll()
      try work.normalized.append(contentsOf: text)
      let keepsStart = try normalizer.apply(
        to: &work.normalized, spare: &work.spare, classes: classes, allocator: allocator, monitor: monitor)
      isAtStart = isAtStart && keepsStart
      normalized = work.normalized.span
    }
    var scanner = AddedTokenScanner(normalized, parsesSpecial: parseSpecial, classes: classes)
    while let part = try scanner.next(added.normalized, added.tokens, monitor: monitor) {
      if let token = part.token {
        try ids.append(token)
        continue
      }
      try work.pieces.cut(
        UTF8Bytes(rebasing: normalized[part.range]), isAtStart: isAtStart && part.range.lowerBound == 0,
        by: preTokenizer.steps, monitor: monitor)
      try encodePieces(parseSpecial: parseSpecial, into: &ids, &work, monitor)
    }
  }

  private func encodePieces(
    parseSpecial: Bool, into ids: inout Vector<Int32>, _ work: inout EncodingWork, _ monitor: Monitor
  ) throws(BoneSoupError) {
    for index in 0..<work.pieces.pieces.count {
      if index & 0x3FF == 0x3FF { try monitor.check() }
      let piece = work.pieces.bytes(of: work.pieces.pieces[index])
      if model.options.ignoresMerges, let id = model.vocabulary.id(of: piece), parseSpecial || !isSpecial(Int32(id)) {
        try ids.append(Int32(id))
      } else {
        try model.encode(piece, into: &ids, work: &work.merging, monitor: monitor)
      }
    }
  }
}

/// The memory of one `encode`.
private struct EncodingWork: ~Copyable {
  var normalized: Vector<UInt8>
  var spare: Vector<UInt8>
  var pieces: PieceList
  var merging: MergeWork

  init(_ tokenizer: Tokenizer) throws(BoneSoupError) {
    let allocator = tokenizer.allocator
    let normalized = try Vector<UInt8>(allocator: allocator, purpose: "the text to encode")
    let spare = try Vector<UInt8>(allocator: allocator, purpose: "the text to encode")
    let pieces = try PieceList(classes: tokenizer.classes, allocator: allocator)
    merging = try MergeWork(allocator: allocator)
    self.normalized = normalized
    self.spare = spare
    self.pieces = pieces
  }
}
