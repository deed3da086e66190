import Platform

/// How the next token is chosen from the logits.
///
/// Applied in this order, which is Hugging Face's: logit bias, penalties, temperature, top-k, top-p, min-p. "Most
/// probable first" puts the lower token number first among equals, everywhere.
public struct SamplingOptions: Sendable, Equatable {
  /// 0: greedy, the greatest logit after bias and penalties; top-k, top-p and min-p then change nothing. Else the logits
  /// are divided by it.
  public var temperature: Float = 0
  /// Keeps the k most probable tokens, exactly k among ties; 0: off.
  public var topK = 0
  /// Keeps the most probable tokens up to and including the one with which their probabilities reach p (of what top-k
  /// left); 1: off.
  public var topP: Float = 1
  /// Keeps tokens at least this many times as probable as the most probable one; 0: off.
  public var minP: Float = 0
  /// Divides positive and multiplies negative logits of seen tokens (CTRL, Keskar et al. 2019; Hugging Face); 1: off.
  public var repetitionPenalty: Float = 1
  /// Subtracted once from the logit of each seen token (OpenAI); 0: off.
  public var presencePenalty: Float = 0
  /// Subtracted for each time that a token was seen (OpenAI); 0: off.
  public var frequencyPenalty: Float = 0
  /// How many of the history's last tokens count as seen; −1: all, 0: none.
  public var penaltyWindow = -1
  /// Added to logits before anything else; several for one token add up.
  public var logitBias: [LogitBias] = []
  /// Of the session's `Philox` stream.
  public var seed: UInt64 = 0
  /// How many of the model's most probable tokens to report.
  public var topLogProbabilities = 0

  public static let maximumTopLogProbabilities = 100
  public static let maximumLogitBiases = 65_536
  /// Of the presence and the frequency penalty, either way.
  private static let maximumPenalty: Float = 1000

  public init() {}

  /// Whether bias or penalties can change a logit.
  var changesLogits: Bool { !logitBias.isEmpty || penalizes }

  /// Whether every token with a probability can be drawn.
  var drawsFromAll: Bool { temperature > 0 && topK == 0 && topP == 1 && minP == 0 }

  var penalizes: Bool {
    penaltyWindow != 0 && (repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0)
  }

  /// Throws `invalidArgument` for the first value that is out of its range. A `Sampler` takes validated options only.
  public func validate(vocabularySize: Int) throws(BoneSoupError) {
    func check(_ name: String, _ value: Float, _ valid: Bool, _ range: String) throws(BoneSoupError) {
      if !valid { throw .invalidArgument("\(name) is \(value); it must be \(range)") }
    }
    try check("temperature", temperature, temperature >= 0 && temperature.isFinite, "0 (greedy) or a positive number")
    try check("top_p", topP, topP > 0 && topP <= 1, "above 0 and at most 1 (off)")
    try check("min_p", minP, minP >= 0 && minP <= 1, "between 0 (off) and 1")
    try check(
      "repetition_penalty", repetitionPenalty, repetitionPenalty > 0 && repetitionPenalty <= Self.maximumPenalty,
      "above 0 and at most \(Self.maximumPenalty); 1 is off")
    for (name, value) in [("presence_penalty", presencePenalty), ("frequency_penalty", frequencyPenalty)] {
      try check(
        name, value, abs(value) <= Self.maximumPenalty,
        "between -\(Self.maximumPenalty) and \(Self.maximumPenalty); 0 is off")
    }
    guard topK >= 0 else { throw .invalidArgument("top_k is \(topK); it must be 0 (off) or a number of tokens") }
    guard penaltyWindow >= -1 else {
      throw .invalidArgument("penalty_window is \(penaltyWindow); it must be -1 (all), 0 (none) or a number of tokens")
    }
    guard topLogProbabilities >= 0, topLogProbabilities <= Self.maximumTopLogProbabilities else {
      throw .invalidArgument(
        "top_logprobs is \(topLogProbabilities); it must be between 0 and \(Self.maximumTopLogProbabilities)")
    }
    guard logitBias.count <= Self.maximumLogitBiases else {
      throw .invalidArgument(
        "there are \(logitBias.count) logit biases; at most \(Self.maximumLogitBiases) are taken, a logits hook can "
          + "change any number")
    }
    for entry in logitBias {
      guard entry.token >= 0, Int(entry.token) < vocabularySize else {
        throw .invalidArgument(
          "a logit bias is for token \(entry.token), and the model's vocabulary goes from 0 to \(vocabularySize - 1)")
      }
      guard entry.bias < .infinity else {
        throw .invalidArgument(
          "the logit bias of token \(entry.token) is \(entry.bias); it must be finite, or -inf to forbid the token")
      }
    }
  }
}
