import Kernels
import Platform

/// Chooses tokens from logits: the working memory of one thread, for any number of sessions with the same vocabulary.
///
/// The result is a function of logits, history, options and step alone. Not thread-safe. It keeps 8 KiB and some 20 bytes per
/// token of the vocabulary.
public final class Sampler {
  public let vocabularySize: Int
  let kernels: Kernels
  private let memory: Buffer
  /// vocabularySize logits, then the weights of the candidates that are left.
  let values: UnsafeMutablePointer<Float>
  /// The candidates' tokens, ascending.
  let tokens: UnsafeMutablePointer<Int32>
  let candidates: UnsafeMutablePointer<Candidate>
  /// Sums of weights, in top-p.
  let classWeights: UnsafeMutablePointer<Double>
  /// Running sums of weights, where all tokens are left.
  let sums: UnsafeMutablePointer<Double>
  /// All zero between calls.
  private let counts: UnsafeMutablePointer<UInt32>

  public init(vocabularySize: Int, kernels: Kernels, allocator: Allocator) throws(BoneSoupError) {
    guard vocabularySize > 0, vocabularySize <= Int(Int32.max) else {
      throw .invalidArgument("a vocabulary of \(vocabularySize) tokens can't be sampled from")
    }
    self.vocabularySize = vocabularySize
    self.kernels = kernels
    let sumCount = Kernels.weightSums(count: vocabularySize)
    memory = try Buffer(
      byteCount: vocabularySize * 20 + (Self.classes + sumCount) * 8, allocator: allocator, purpose: "the sampler")
    classWeights = memory.elements()
    sums = classWeights + Self.classes
    candidates = UnsafeMutableRawPointer(sums + sumCount).assumingMemoryBound(to: Candidate.self)
    values = UnsafeMutableRawPointer(candidates + vocabularySize).assumingMemoryBound(to: Float.self)
    tokens = UnsafeMutableRawPointer(values + vocabularySize).assumingMemoryBound(to: Int32.self)
    counts = UnsafeMutableRawPointer(tokens + vocabularySize).assumingMemoryBound(to: UInt32.self)
    counts.initialize(repeating: 0, count: vocabularySize)
  }

  /// Chooses the next token.
  ///
  /// - Parameters:
  ///   - logits: the model's, `vocabularySize` of them, in natural-log scale, not changed: probabilities are told of
  ///     these.
  ///   - hooked: what a host's hook made of them, to choose by; nil without a hook. −∞ is a token that can't be chosen.
  ///   - history: the tokens so far, oldest first; those outside the vocabulary are passed over.
  ///   - options: validated.
  ///   - step: the counter of the random stream: the new token's position in the text.
  /// - Throws: `invalidArgument` where a logit is NaN or +∞, or no token can be chosen.
  public func sample(
    logits: UnsafeBufferPointer<Float>, hooked: UnsafeBufferPointer<Float>? = nil,
    history: UnsafeBufferPointer<Int32>, options: SamplingOptions, step: UInt64
  ) throws(BoneSoupError) -> SampledToken {
    guard logits.count == vocabularySize, let raw = logits.baseAddress else {
      throw .internalFault("\(logits.count) logits for a vocabulary of \(vocabularySize) tokens")
    }
    if hooked == nil, options.drawsFromAll, options.temperature == 1, !options.changesLogits {
      // One pass does all: the weights are the probabilities but for their sum.
      let logSum = kernels.weigh(x: raw, count: vocabularySize, temperature: 1, out: values, sums: sums)
      guard logSum.isFinite else { throw Self.fault(in: logits) }
      return sampled(drawFromAll(options, step), raw, logSum, options)
    }
    let logSum = kernels.logSumExp(x: raw, count: vocabularySize)
    guard logSum.isFinite else { throw Self.fault(in: logits) }

    var best = raw
    if let hooked {
      guard hooked.count == vocabularySize, let start = hooked.baseAddress,
        kernels.logSumExp(x: start, count: vocabularySize).isFinite
      else { throw Self.fault(in: hooked) }
      best = start
    }
    if options.changesLogits {
      values.update(from: best, count: vocabularySize)
      apply(options, history)
      best = UnsafePointer(values)
    }
    if options.drawsFromAll {
      guard
        kernels.weigh(x: best, count: vocabularySize, temperature: options.temperature, out: values, sums: sums)
          .isFinite
      else { throw Self.nothingLeft }
      return sampled(drawFromAll(options, step), raw, logSum, options)
    }
    let greatest = greatestToken(best)
    guard best[greatest] > -.infinity else { throw Self.nothingLeft }
    var token = greatest
    if options.temperature > 0, options.topK != 1 {
      let count = collect(best, greatest: best[greatest], options)
      token = draw(from: filter(count, options), at: Philox(seed: options.seed).uniform(step: step))
    }
    return sampled(token, raw, logSum, options)
  }

  private func sampled(
    _ token: Int, _ raw: UnsafePointer<Float>, _ logSum: Float, _ options: SamplingOptions
  ) -> SampledToken {
    SampledToken(
      chosen: TokenProbability(token: Int32(truncatingIfNeeded: token), logProbability: raw[token] - logSum),
      top: top(options.topLogProbabilities, raw, logSum))
  }

  private static var nothingLeft: BoneSoupError {
    .invalidArgument("the logit bias forbids every token that the model can give; leave at least one above -inf")
  }

  private static func fault(in logits: UnsafeBufferPointer<Float>) -> BoneSoupError {
    guard let token = logits.firstIndex(where: { $0.isNaN || $0 == .infinity }) else {
      return .invalidArgument("every logit is -inf: the logits hook, or the model, leaves no token to choose")
    }
    return .invalidArgument(
      "the logit of token \(token) is \(logits[token]): the model's weights, or the logits hook, are broken there")
  }

  /// Adds the biases and penalties to `values`. Nothing becomes +∞.
  private func apply(_ options: SamplingOptions, _ history: UnsafeBufferPointer<Int32>) {
    for entry in options.logitBias where entry.token >= 0 && Int(entry.token) < vocabularySize {
      let value = values + Int(entry.token)
      value.pointee = min(value.pointee + entry.bias, .greatestFiniteMagnitude)
    }
    guard options.penalizes else { return }
    let window = options.penaltyWindow < 0 ? history.count : min(options.penaltyWindow, history.count)
    let seen = UnsafeBufferPointer(rebasing: history[(history.count - window)...])
    for token in seen where token >= 0 && Int(token) < vocabularySize { counts[Int(token)] &+= 1 }
    for token in seen where token >= 0 && Int(token) < vocabularySize && counts[Int(token)] > 0 {
      var value = values[Int(token)]
      value = value > 0 ? value / options.repetitionPenalty : value * options.repetitionPenalty
      value -= options.presencePenalty + options.frequencyPenalty * Float(counts[Int(token)])
      values[Int(token)] = min(value, .greatestFiniteMagnitude)
      counts[Int(token)] = 0
    }
  }

  private func greatestToken(_ logits: UnsafePointer<Float>) -> Int {
    var greatest = 0
    var most = logits[0]
    for token in 1..<max(vocabularySize, 1) where logits[token] > most {
      most = logits[token]
      greatest = token
    }
    return greatest
  }

  private func top(_ count: Int, _ raw: UnsafePointer<Float>, _ logSum: Float) -> [TokenProbability] {
    let limit = min(count, vocabularySize, SamplingOptions.maximumTopLogProbabilities)
    guard limit > 0 else { return [] }
    let found = Candidates.best(limit, of: raw, count: vocabularySize, into: candidates)
    return UnsafeBufferPointer(start: candidates, count: found).sorted { $1 < $0 }.map {
      TokenProbability(token: Int32(truncatingIfNeeded: $0.token), logProbability: raw[$0.token] - logSum)
    }
  }
}
