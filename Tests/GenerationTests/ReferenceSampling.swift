import Generation
import Glibc

/// The sampling options' definition, stated with sorts and double precision.
enum ReferenceSampling {
  /// Logits after bias and penalties.
  static func penalized(_ logits: [Float], history: [Int32], _ options: SamplingOptions) -> [Float] {
    var result = logits
    for entry in options.logitBias { result[Int(entry.token)] += entry.bias }
    let seen = options.penaltyWindow < 0 ? history[...] : history.suffix(options.penaltyWindow)
    for token in Set(seen) where token >= 0 && Int(token) < logits.count {
      let index = Int(token)
      if result[index] < 0 {
        result[index] *= options.repetitionPenalty
      } else {
        result[index] /= options.repetitionPenalty
      }
      let count = Float(seen.filter { $0 == token }.count)
      result[index] -= options.presencePenalty + options.frequencyPenalty * count
    }
    return result
  }

  /// The probability of each token; 0 for those filtered out.
  static func distribution(_ logits: [Float], history: [Int32] = [], _ options: SamplingOptions) -> [Double] {
    let scores = penalized(logits, history: history, options).map { Double($0) / Double(options.temperature) }
    let greatest = scores.max() ?? 0
    var weights = scores.map { exp($0 - greatest) }
    let ranked = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
    if options.topK > 0 { for token in ranked.dropFirst(options.topK) { weights[token] = 0 } }
    if options.topP < 1 {
      let target = Double(options.topP) * weights.reduce(0, +)
      var reached = 0.0
      for token in ranked {
        if reached >= target { weights[token] = 0 }
        reached += weights[token]
      }
    }
    for token in weights.indices where weights[token] < Double(options.minP) { weights[token] = 0 }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }
}
