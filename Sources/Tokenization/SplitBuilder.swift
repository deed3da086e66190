import Platform

/// Puts the matches and the parts between them together to pieces, by a `SplitBehavior`.
struct SplitBuilder {
  private let behavior: SplitBehavior
  /// Where this text's pieces start in the list; those before are left alone.
  private let first: Int
  private var previousIsMatch = false
  /// A match that may join what comes next.
  private var held: PieceList.Piece?

  init(_ behavior: SplitBehavior, first: Int) {
    self.behavior = behavior
    self.first = first
  }

  /// Takes the next part, which lies directly after the last one.
  @inline(__always)
  mutating func add(
    _ part: PieceList.Piece, isMatch: Bool, to pieces: inout Vector<PieceList.Piece>
  ) throws(BoneSoupError) {
    switch behavior {
    case .isolated: try pieces.append(part)
    case .removed: if !isMatch { try pieces.append(part) }
    case .contiguous: try extend(isMatch == previousIsMatch, by: part, &pieces)
    case .mergedWithPrevious: try extend(isMatch && !previousIsMatch, by: part, &pieces)
    case .mergedWithNext:
      if let match = held {
        held = nil
        try pieces.append(isMatch ? match : PieceList.Piece(start: match.start, end: part.end))
        if isMatch { held = part }
      } else if isMatch {
        held = part
      } else {
        try pieces.append(part)
      }
    }
    previousIsMatch = isMatch
  }

  mutating func finish(_ pieces: inout Vector<PieceList.Piece>) throws(BoneSoupError) {
    if let match = held { try pieces.append(match) }
    held = nil
  }

  private func extend(
    _ joins: Bool, by part: PieceList.Piece, _ pieces: inout Vector<PieceList.Piece>
  ) throws(BoneSoupError) {
    if joins, pieces.count > first {
      pieces[pieces.count &- 1].end = part.end
    } else {
      try pieces.append(part)
    }
  }
}
