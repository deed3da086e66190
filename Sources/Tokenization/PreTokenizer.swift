/// How a text is cut into the pieces that the model encodes, each by itself: a chain of steps as in the file's
/// `pre_tokenizer`, a component of which may be several steps here.
struct PreTokenizer: Sendable {
  enum Step: Sendable, Equatable {
    case split(Delimiter, SplitBehavior, isInverted: Bool)
    /// In front of each piece that doesn't start with it; with `onlyAtStart`, of the piece that starts the whole text.
    case prefix([UInt8], onlyAtStart: Bool)
    /// Each U+0020 becomes these bytes.
    case replaceSpaces([UInt8])
    /// Each byte becomes the character that stands for it (`ByteLevelAlphabet`).
    case byteLevel
  }

  /// What a text is split at, or into.
  enum Delimiter: Sendable, Equatable {
    case words(WordPattern)
    /// A text that isn't empty.
    case literal([UInt8])
    /// Each character of the class, by itself.
    case characters(CharacterClasses.Class)
    /// Each run of `\w`, and each run of what is neither `\w` nor space.
    case wordsAndPunctuation
  }

  var steps: [Step] = []
}

/// What becomes of the delimiters that a text is split at, named as in the files.
enum SplitBehavior: String, Sendable {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"
}
