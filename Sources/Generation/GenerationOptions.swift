import Platform

/// How a text is to be generated.
public struct GenerationOptions {
  /// Sees and may change the logits before sampling; false ends the generation.
  public typealias Hook = (UnsafeMutableBufferPointer<Float>, UnsafeBufferPointer<Int32>) -> Bool

  /// New tokens at most; nil is no limit.
  public var maximumTokens: Int?
  public var sampling = SamplingOptions()
  public var stopStrings: [[UInt8]] = []
  /// Beside the model's own end tokens.
  public var stopTokens: [Int32] = []
  public var ignoresEnd = false
  public var hook: Hook?
  /// The base alone computes the prompt; the blend comes in at its last token, whose logits give the first new one.
  public var isResponseOnly = false

  public static let maximumStopTokens = 256

  public init() {}

  /// Throws `.invalidArgument` for what no generation can do.
  ///
  /// - Returns: what looks for the stop strings.
  func validate(vocabularySize: Int) throws(BoneSoupError) -> StopMatcher {
    try sampling.validate(vocabularySize: vocabularySize)
    guard stopTokens.count <= Self.maximumStopTokens else {
      throw .invalidArgument(
        "there are \(stopTokens.count) stop tokens; at most \(Self.maximumStopTokens) are taken")
    }
    for token in stopTokens where token < 0 || token >= vocabularySize {
      throw .invalidArgument("the stop token \(token) is not in the model's vocabulary of \(vocabularySize)")
    }
    return try StopMatcher(stopStrings)
  }
}

/// Why a text ended. The numbers are the C API's.
public enum FinishReason: UInt32, Sendable {
  case none = 0
  case end = 1
  case stopToken = 2
  case stopString = 3
  case length = 4
  case context = 5
  case callback = 6
  case cancelled = 7
  case error = 8
}

/// One token of a generation.
public struct GenerationStep {
  /// -1 where the context was full.
  public let token: Int32
  public let logProbability: Float
  public let finish: FinishReason
}
