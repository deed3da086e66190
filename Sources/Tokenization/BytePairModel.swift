import Platform

/// Byte pair encoding: a piece of text starts as its characters, and the pair of neighbours with the lowest rank merges
/// until none is left (Sennrich et al. 2016, arXiv 1508.07909), with the options of `tokenizers`' BPE model.
struct BytePairModel: ~Copyable {
  var vocabulary: Vocabulary
  var merges: MergeTable
  var options: Options
  /// Ids of the single-character pieces below U+0200, which holds the whole alphabet of byte-level vocabularies.
  private var shortIds = InlineArray<512, UInt32>(repeating: BytePairModel.none)
  /// Ids of the pieces `<0x00>` to `<0xFF>`.
  private var byteIds = InlineArray<256, UInt32>(repeating: BytePairModel.none)

  struct Options: Sendable {
    var file = ""
    /// Its bytes; nil where characters without a piece are dropped.
    var unknownPiece: [UInt8]?
    /// One unknown token for a run of unknown characters.
    var fusesUnknown = false
    var fallsBackToBytes = false
    /// A text that is a piece as a whole is that piece.
    var ignoresMerges = false
  }

  private static let none = UInt32.max

  init(vocabulary: consuming Vocabulary, merges: consuming MergeTable, options: Options) {
    self.vocabulary = vocabulary
    self.merges = merges
    self.options = options
    for scalar in UInt32(0)..<512 {
      shortIds[Int(scalar)] = id(of: Unicode.Scalar(scalar).map { Array(String($0).utf8) } ?? [])
    }
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in 0..<256 {
      byteIds[byte] = id(of: [0x3C, 0x30, 0x78, digits[byte / 16], digits[byte % 16], 0x3E])
    }
  }

  private func id(of piece: [UInt8]) -> UInt32 {
    piece.withUnsafeBufferPointer { vocabulary.id(of: $0) } ?? Self.none
  }

  /// Appends the ids of `text`, valid UTF-8, with `work` for memory; `ignoresMerges` is the caller's affair.
  func encode(
    _ text: UTF8Bytes, into ids: inout Vector<Int32>, work: inout MergeWork, monitor: Monitor
  ) throws(BoneSoupError) {
    work.symbols.removeAll()
    try appendSymbols(of: text, to: &work, monitor: monitor)
    if work.symbols.count <= MergeWork.shortLimit {
      work.mergeShort(merges)
    } else {
      try work.mergeLong(merges, monitor: monitor)
    }
    for index in 0..<work.symbols.count where work.symbols[index].isAlive {
      try ids.append(Int32(work.symbols[index].id))
    }
  }

  /// A symbol for each character; for one that has no piece its bytes', or the unknown piece.
  private func appendSymbols(
    of text: UTF8Bytes, to work: inout MergeWork, monitor: Monitor
  ) throws(BoneSoupError) {
    /// The unknown piece that still may take in what follows. As in `tokenizers`, byte pieces overtake it.
    var unknown: UInt32?
    var position = 0
    while position < text.count {
      if work.symbols.count & 0xFFFF == 0xFFFF { try monitor.check() }
      let scalar = UTF8Scalar(in: text, at: position)
      let character = UTF8Bytes(rebasing: text[position..<position &+ scalar.length])
      position &+= scalar.length
      let id = scalar.value < 512 ? shortIds[Int(scalar.value)] : vocabulary.id(of: character) ?? Self.none
      if id != Self.none {
        if let pending = unknown { try work.symbols.append(Symbol(id: pending)) }
        unknown = nil
        try work.symbols.append(Symbol(id: id))
      } else if options.fallsBackToBytes, character.allSatisfy({ byteIds[Int($0)] != Self.none }) {
        for byte in character { try work.symbols.append(Symbol(id: byteIds[Int(byte)])) }
      } else if options.unknownPiece != nil {
        if let pending = unknown, !options.fusesUnknown { try work.symbols.append(Symbol(id: pending)) }
        unknown = try unknownId(for: character)
      }
    }
    if let pending = unknown { try work.symbols.append(Symbol(id: pending)) }
  }

  private func unknownId(for character: UTF8Bytes) throws(BoneSoupError) -> UInt32 {
    let piece = options.unknownPiece ?? []
    let id = id(of: piece)
    guard id != Self.none else {
      throw .malformed(
        "\(options.file): the character \"\(excerpt(character))\" is not in the vocabulary, and neither is the unknown "
          + "token \"\(piece.withUnsafeBufferPointer { excerpt($0) })\"")
    }
    return id
  }
}

/// A token of a text that is being merged.
struct Symbol: BitwiseCopyable {
  var id: UInt32
  /// Rank of its merge with the next symbol; `MergeTable.noRank` where they don't merge.
  var rank = MergeTable.noRank
  /// Neighbours' indices; -1 at the ends. A merged symbol's next is `merged`.
  var previous: Int32 = -1
  var next: Int32 = -1

  static let merged: Int32 = -2
  var isAlive: Bool { next != Self.merged }
}
