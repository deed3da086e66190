/// How pieces become text again: the file's `decoder`, brought to its three stages.
struct Decoder: Sendable {
  /// What happens to each piece by itself, in order.
  enum Step: Sendable, Equatable {
    case replace(pattern: [UInt8], with: [UInt8])
    /// Up to so many of the character at each end.
    case strip([UInt8], start: Int, stop: Int)
    /// The replacement becomes a space; in the first piece, with `dropsInFirst`, nothing.
    case metaspace([UInt8], dropsInFirst: Bool)
  }

  /// How the pieces become bytes.
  enum Form: Sendable, Equatable {
    case text
    /// Pieces like `<0x0A>` are bytes.
    case byteFallback
    /// Each character of a piece stands for a byte (`ByteLevelAlphabet`).
    case byteLevel
  }

  var steps: [Step] = []
  var form = Form.text
  /// Up to so many of this byte are dropped at the start of the whole text.
  var stripByte: UInt8 = 0
  var stripCount = 0
  /// Without a decoder, pieces are joined by spaces.
  var joinsBySpace = false

  var firstPieceDiffers: Bool {
    steps.contains { if case .metaspace(_, true) = $0 { true } else { false } }
  }
}
