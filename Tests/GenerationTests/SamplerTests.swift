import Glibc
import Kernels
import Platform
import TestSupport
import Testing

@testable import Generation

@Suite struct SamplerTests {
  private static func options(_ change: (inout SamplingOptions) -> Void) -> SamplingOptions {
    var options = SamplingOptions()
    change(&options)
    return options
  }

  private static func sampler(_ vocabularySize: Int) throws -> Sampler {
    try Sampler(vocabularySize: vocabularySize, kernels: Kernels.detect(), allocator: .system)
  }

  private static func sample(
    _ sampler: Sampler, _ logits: [Float], history: [Int32] = [], _ options: SamplingOptions, step: UInt64 = 0
  ) throws -> SampledToken {
    try options.validate(vocabularySize: logits.count)
    return try logits.withUnsafeBufferPointer { logits in
      try history.withUnsafeBufferPointer { history in
        try sampler.sample(logits: logits, history: history, options: options, step: step)
      }
    }
  }

  /// The tokens that the filters keep.
  private static func kept(_ sampler: Sampler, _ logits: [Float], _ options: SamplingOptions) -> [Int] {
    let greatest = logits.max() ?? 0
    let count = logits.withUnsafeBufferPointer { logits in
      logits.baseAddress.map { sampler.filter(sampler.collect($0, greatest: greatest, options), options) } ?? 0
    }
    return (0..<count).map { Int(sampler.tokens[$0]) }
  }

  /// Random logits; with few levels there are many ties.
  private static func randomLogits(_ count: Int, levels: Int?, _ random: inout SplitMix) -> [Float] {
    (0..<count).map { _ in
      if let levels { return Float(random.below(levels)) * 0.75 - 3 }
      return Float.random(in: -8...8, using: &random)
    }
  }

  @Test func greedyTakesTheLowestOfTheGreatest() throws {
    let sampler = try Self.sampler(6)
    let options = SamplingOptions()
    #expect(try Self.sample(sampler, [1, 3, 2, 3, -1, 3], options).chosen.token == 1)
    #expect(try Self.sample(sampler, [-.infinity, -5, -.infinity, -5, -6, -9], options).chosen.token == 1)
    #expect(try Self.sample(sampler, [-0.0, 0, -0.0, -1, 0, 0], options).chosen.token == 0)
  }

  @Test func logProbabilitiesAreTheModelsOwn() throws {
    var random = SplitMix(seed: 1)
    let logits = Self.randomLogits(1000, levels: nil, &random)
    let logSum = log(logits.reduce(0.0) { $0 + exp(Double($1)) })
    let options = Self.options {
      $0.temperature = 3
      $0.topLogProbabilities = 100
      $0.logitBias = [LogitBias(token: 7, bias: 50)]
      $0.presencePenalty = 2
    }
    let result = try Self.sample(try Self.sampler(1000), logits, history: [1, 2, 3], options)
    #expect(result.chosen.token == 7)
    #expect(abs(Double(result.chosen.logProbability) - (Double(logits[7]) - logSum)) < 1e-5)
    let ranked = logits.indices.sorted { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
    #expect(result.top.map { Int($0.token) } == Array(ranked.prefix(100)))
    #expect(result.top.allSatisfy { abs(Double($0.logProbability) - (Double(logits[Int($0.token)]) - logSum)) < 1e-5 })
  }

  @Test func topOfATinyOrMaskedVocabularyIsShorter() throws {
    let options = Self.options { $0.topLogProbabilities = 100 }
    let result = try Self.sample(try Self.sampler(4), [-.infinity, 2, -.infinity, 2], options)
    #expect(result.top.map(\.token) == [1, 3])
    #expect(result.top.allSatisfy { abs($0.logProbability - log(0.5)) < 1e-6 })
  }

  @Test(arguments: [nil, 5, 20]) func filtersEqualTheSortedDefinition(levels: Int?) throws {
    var random = SplitMix(seed: 2)
    for round in 0..<400 {
      let count = 1 + random.below(round < 380 ? 60 : 5000)
      let logits = Self.randomLogits(count, levels: levels, &random)
      let sampler = try Self.sampler(count)
      let options = Self.options {
        $0.temperature = [0.3, 1, 2.5][random.below(3)]
        if random.below(2) == 0 { $0.topK = 1 + random.below(count + 3) }
        if random.below(2) == 0 { $0.topP = Float.random(in: 0.01...0.999, using: &random) }
        if random.below(3) == 0 { $0.minP = Float.random(in: 0...0.9, using: &random) }
      }
      let expected = ReferenceSampling.distribution(logits, options)
      #expect(Self.kept(sampler, logits, options) == expected.indices.filter { expected[$0] > 0 }, "\(options)")
    }
  }

  @Test func filtersKeepAtLeastTheMostProbable() throws {
    let sampler = try Self.sampler(3)
    for change: (inout SamplingOptions) -> Void in [
      { $0.topP = .leastNonzeroMagnitude }, { $0.minP = 1 }, { $0.topK = 1 },
      { $0.temperature = .leastNonzeroMagnitude },
    ] {
      let options = Self.options {
        $0.temperature = 1
        change(&$0)
      }
      #expect(Self.kept(sampler, [0, 2, 1], options).contains(1))
      for step in 0..<50 as Range<UInt64> {
        #expect(try Self.sample(sampler, [0, 2, 1], options, step: step).chosen.token == 1)
      }
    }
    #expect(
      Self.kept(sampler, [5, 5, 5], Self.options { ($0.temperature, $0.topP) = (1, .leastNonzeroMagnitude) }) == [0])
    #expect(Self.kept(sampler, [5, 5, 5], Self.options { ($0.temperature, $0.topK) = (1, 2) }) == [0, 1])
    #expect(Self.kept(sampler, [5, 5, 5], Self.options { ($0.temperature, $0.minP) = (1, 1) }) == [0, 1, 2])
  }

  @Test func extremeLogitsAndTemperaturesStayFinite() throws {
    let sampler = try Self.sampler(4)
    for temperature in [Float.leastNonzeroMagnitude, 1e-20, 1e20, .greatestFiniteMagnitude] {
      let options = Self.options {
        $0.temperature = temperature
        $0.topP = 0.9
        $0.repetitionPenalty = .leastNonzeroMagnitude
        $0.frequencyPenalty = -1000
        $0.logitBias = [LogitBias(token: 0, bias: .greatestFiniteMagnitude)]
      }
      let big = Float.greatestFiniteMagnitude
      let result = try Self.sample(sampler, [big, -big, 0, -.infinity], history: [0, 1, 2, 3, 3], options)
      #expect(result.chosen.token != 3)
      #expect(!result.chosen.logProbability.isNaN)
    }
  }

  @Test func penaltiesEqualTheirPlainStatement() throws {
    var random = SplitMix(seed: 3)
    let sampler = try Self.sampler(50)
    for _ in 0..<500 {
      let logits = Self.randomLogits(50, levels: nil, &random)
      let history = (0..<random.below(40)).map { _ in Int32(random.below(60)) - 5 }
      let options = Self.options {
        $0.repetitionPenalty = Float.random(in: 0.5...2, using: &random)
        $0.presencePenalty = Float.random(in: -2...2, using: &random)
        $0.frequencyPenalty = Float.random(in: -2...2, using: &random)
        $0.penaltyWindow = random.below(30) - 1
        for _ in 0..<random.below(5) {
          $0.logitBias.append(
            LogitBias(token: Int32(random.below(50)), bias: Float.random(in: -5...5, using: &random)))
        }
      }
      let expected = ReferenceSampling.penalized(logits, history: history, options)
      let chosen = try Self.sample(sampler, logits, history: history, options).chosen.token
      #expect(expected.firstIndex(of: expected.max() ?? 0) == Int(chosen))
      if options.changesLogits { #expect((0..<50).allSatisfy { sampler.values[$0] == expected[$0] }) }
    }
  }

  @Test(arguments: 0..<6) func drawnTokensHaveTheExpectedDistribution(_ variant: Int) throws {
    var random = SplitMix(seed: 4)
    let logits = Self.randomLogits(40, levels: variant == 5 ? 6 : nil, &random).map { $0 / 4 }
    let history: [Int32] = [1, 1, 2, 3, 5, 8, 13]
    let options = Self.options {
      $0.temperature = 0.8
      $0.seed = 77 + UInt64(variant)
      switch variant {
      case 1: $0.topK = 12
      case 2: $0.topP = 0.7
      case 3: $0.minP = 0.2
      case 4: ($0.repetitionPenalty, $0.presencePenalty, $0.frequencyPenalty) = (1.5, 0.5, 0.3)
      case 5: ($0.topK, $0.topP, $0.minP) = (25, 0.9, 0.1)
      default: break
      }
    }
    let expected = ReferenceSampling.distribution(logits, history: history, options)
    let draws = 20_000
    var counts = [Int](repeating: 0, count: 40)
    let sampler = try Self.sampler(40)
    for step in 0..<UInt64(draws) {
      counts[Int(try Self.sample(sampler, logits, history: history, options, step: step).chosen.token)] += 1
    }
    var chiSquare = 0.0
    var freedom = -1.0
    for token in 0..<40 {
      let mean = expected[token] * Double(draws)
      if mean == 0 {
        #expect(counts[token] == 0)
      } else {
        chiSquare += (Double(counts[token]) - mean) * (Double(counts[token]) - mean) / mean
        freedom += 1
      }
    }
    #expect(chiSquare < freedom + 3 * (2 * freedom).squareRoot())
  }

  /// Of all tokens the one is drawn in whose stretch of the running sum of probabilities the random number lies.
  @Test(arguments: [1, 5, 127, 128, 129, 300, 5000]) func drawsByTheRunningSumOfAll(_ count: Int) throws {
    var random = SplitMix(seed: 6)
    let sampler = try Self.sampler(count)
    for variant in 0..<4 {
      var logits = Self.randomLogits(count, levels: variant == 1 ? 7 : nil, &random)
      if variant == 2, count > 2 { for token in 0..<count / 2 { logits[token] = -.infinity } }
      let options = Self.options {
        $0.temperature = [1, 0.7, 1, 2][variant]
        $0.seed = 40 + UInt64(count)
        if variant == 3 { $0.logitBias = [LogitBias(token: Int32(count - 1), bias: 3)] }
      }
      let shares = ReferenceSampling.distribution(logits, options)
      var sums = [0.0]
      for share in shares { sums.append(sums[sums.count - 1] + share) }
      for step in 0..<200 as Range<UInt64> {
        let token = Int(try Self.sample(sampler, logits, options, step: step).chosen.token)
        let uniform = Philox(seed: options.seed).uniform(step: step)
        #expect(shares[token] > 0 && sums[token] <= uniform + 1e-6 && sums[token + 1] >= uniform - 1e-6)
      }
    }
  }

  @Test func choiceDependsOnNothingButItsInputs() throws {
    var random = SplitMix(seed: 5)
    let logits = Self.randomLogits(3000, levels: 50, &random)
    let other = Self.randomLogits(3000, levels: nil, &random)
    let options = Self.options { ($0.temperature, $0.topP, $0.seed, $0.topLogProbabilities) = (1.2, 0.95, 9, 5) }
    let sampler = try Self.sampler(3000)
    let steps = (0..<40).map { UInt64($0) }
    let first = try steps.map { try Self.sample(sampler, logits, history: [1, 2], options, step: $0) }
    let again = try steps.reversed().map { step in
      _ = try Self.sample(sampler, other, history: [7, 7, 9], Self.options { $0.frequencyPenalty = 1 }, step: step)
      return try Self.sample(sampler, logits, history: [1, 2], options, step: step)
    }
    #expect(first == again.reversed())
    #expect(Set(first.map(\.chosen.token)).count > 10)
  }

  @Test func forbiddenTokensAreNeverChosen() throws {
    let sampler = try Self.sampler(5)
    let options = Self.options {
      $0.temperature = 5
      $0.logitBias = [LogitBias(token: 2, bias: -.infinity)]
      $0.repetitionPenalty = 2
    }
    for step in 0..<200 as Range<UInt64> {
      let token = try Self.sample(sampler, [1, -.infinity, 9, 0, 1], history: [1, 2], options, step: step).chosen.token
      #expect(token != 1 && token != 2)
    }
  }

  @Test func brokenLogitsAreErrorsThatNameTheToken() throws {
    let sampler = try Self.sampler(40)
    for (value, text) in [(Float.nan, "nan"), (.infinity, "inf")] {
      var logits = [Float](repeating: 0, count: 40)
      logits[33] = value
      for temperature in [Float(0), 1] {
        let error = #expect(throws: BoneSoupError.self) {
          try Self.sample(sampler, logits, Self.options { $0.temperature = temperature })
        }
        #expect(error?.message.contains("token 33 is \(text)") == true)
      }
    }
    let masked = #expect(throws: BoneSoupError.self) {
      try Self.sample(sampler, [Float](repeating: -.infinity, count: 40), SamplingOptions())
    }
    #expect(masked?.message.contains("every logit is -inf") == true)
    let all = Self.options { $0.logitBias = (0..<40).map { LogitBias(token: $0, bias: -.infinity) } }
    let biased = #expect(throws: BoneSoupError.self) {
      try Self.sample(sampler, [Float](repeating: 0, count: 40), all)
    }
    #expect(biased?.message.contains("logit bias") == true)
    #expect(throws: BoneSoupError.self) { try Self.sample(sampler, [0, 1], SamplingOptions()) }
  }

  @Test func impossibleVocabulariesAreRefused() {
    for size in [0, -1, Int.min, Int.max, Int(Int32.max) + 1] {
      #expect(throws: BoneSoupError.self) { try Self.sampler(size) }
    }
  }

  @Test func optionsOutOfRangeAreRefusedByName() {
    let wrong: [(String, (inout SamplingOptions) -> Void)] = [
      ("temperature", { $0.temperature = .nan }), ("temperature", { $0.temperature = -0.1 }),
      ("temperature", { $0.temperature = .infinity }), ("top_k", { $0.topK = -1 }), ("top_p", { $0.topP = 0 }),
      ("top_p", { $0.topP = 1.01 }), ("top_p", { $0.topP = .nan }), ("min_p", { $0.minP = -0.1 }),
      ("min_p", { $0.minP = .nan }), ("repetition_penalty", { $0.repetitionPenalty = 0 }),
      ("repetition_penalty", { $0.repetitionPenalty = .nan }), ("presence_penalty", { $0.presencePenalty = .infinity }),
      ("frequency_penalty", { $0.frequencyPenalty = .nan }), ("penalty_window", { $0.penaltyWindow = -2 }),
      ("top_logprobs", { $0.topLogProbabilities = 101 }),
      ("token 10", { $0.logitBias = [LogitBias(token: 10, bias: 0)] }),
      ("token -1", { $0.logitBias = [LogitBias(token: -1, bias: 0)] }),
      ("token 3", { $0.logitBias = [LogitBias(token: 3, bias: .nan)] }),
      ("token 4", { $0.logitBias = [LogitBias(token: 4, bias: .infinity)] }),
    ]
    for (name, change) in wrong {
      let error = #expect(throws: BoneSoupError.self) { try Self.options(change).validate(vocabularySize: 10) }
      #expect(error?.message.contains(name) == true, "\(name)")
    }
  }
}
