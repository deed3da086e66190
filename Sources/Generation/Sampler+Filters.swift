import Kernels
import Platform

/// Temperature, top-k, top-p, min-p and the draw. Candidates stay in ascending order of their tokens, so that sums and the
/// draw have one fixed order.
extension Sampler {
  /// Makes candidates of the tokens above −∞ that top-k keeps: `tokens`, and in `values` their weights
  /// e^((logit − greatest) / temperature). Returns how many, at least 1.
  ///
  /// - Parameter logits: may be `values`.
  func collect(_ logits: UnsafePointer<Float>, greatest: Float, _ options: SamplingOptions) -> Int {
    var least: UInt64 = 0
    if options.topK > 0, options.topK < vocabularySize {
      let found = Candidates.best(options.topK, of: logits, count: vocabularySize, into: candidates)
      if found == options.topK { least = candidates[0].key }
    }
    var count = 0
    let leastValue = least == 0 ? -Float.infinity : candidates[0].value
    for token in 0..<vocabularySize {
      let value = logits[token]
      guard value >= leastValue, value > -.infinity else { continue }
      guard Candidate(value: value, token: token).key >= least else { continue }
      values[count] = (value - greatest) / options.temperature
      tokens[count] = Int32(truncatingIfNeeded: token)
      count &+= 1
    }
    kernels.exponential(x: values, count: count, out: values)
    return count
  }

  /// Keeps what top-p and min-p keep, and returns how many.
  func filter(_ count: Int, _ options: SamplingOptions) -> Int {
    var count = count
    if options.topP < 1 {
      let least = nucleus(count, Double(options.topP))
      count = keep(count) { Candidate(value: values[$0], token: $0).key >= least.key }
    }
    if options.minP > 0 {
      var greatest: Float = 0
      for index in 0..<count { greatest = max(greatest, values[index]) }
      count = keep(count) { values[$0] >= options.minP * greatest }
    }
    return count
  }

  /// The last candidate (by its index) of the fewest whose weights reach the share `p` of all: first by classes of weights
  /// that are within an eighth of each other, then within the one class where the share is reached.
  private func nucleus(_ count: Int, _ p: Double) -> Candidate {
    classWeights.update(repeating: 0, count: Self.classes)
    for index in 0..<count { classWeights[Self.weightClass(values[index])] += Double(values[index]) }
    var target = 0.0
    for index in 0..<Self.classes { target += classWeights[index] }
    target *= p
    var last = Self.classes &- 1
    while last > 0, classWeights[last] < target {
      target -= classWeights[last]
      last &-= 1
    }
    var members = 0
    for index in 0..<count {
      candidates[members] = Candidate(value: values[index], token: index)
      members &+= Self.weightClass(values[index]) == last ? 1 : 0
    }
    // Rounding may leave a remainder that nothing reaches: then all are needed.
    guard members > 0 else { return Candidate(value: 0, token: count) }
    return Candidates.reaching(target, candidates, count: members)
  }

  static let classes = 1024

  /// Exponent and three bits of the mantissa; a weight is at most about 1.
  @inline(__always) private static func weightClass(_ weight: Float) -> Int {
    min(Int(truncatingIfNeeded: weight.bitPattern >> 20), classes - 1)
  }

  private func keep(_ count: Int, where isKept: (Int) -> Bool) -> Int {
    var kept = 0
    for index in 0..<count {
      let step = isKept(index) ? 1 : 0
      values[kept] = values[index]
      tokens[kept] = tokens[index]
      kept &+= step
    }
    return kept
  }

  /// Four sums, of every fourth weight each, then their sum: one alone waits for itself at every step.
  private func sum(_ count: Int) -> Double {
    var a = 0.0
    var b = 0.0
    var c = 0.0
    var d = 0.0
    var index = 0
    while index &+ 4 <= count {
      a += Double(values[index])
      b += Double(values[index &+ 1])
      c += Double(values[index &+ 2])
      d += Double(values[index &+ 3])
      index &+= 4
    }
    while index < count {
      a += Double(values[index])
      index &+= 1
    }
    return (a + b) + (c + d)
  }

  /// The first token at which the running sum of weights exceeds the share `uniform`, in [0, 1), of the whole.
  func draw(from count: Int, at uniform: Double) -> Int {
    let target = uniform * sum(count)
    var reached = 0.0
    var last = 0
    for index in 0..<count where values[index] > 0 {
      reached += Double(values[index])
      last = index
      if reached > target { break }
    }
    return Int(tokens[last])
  }

  /// The same of all tokens, from what `Kernels.weigh` made of them.
  func drawFromAll(_ options: SamplingOptions, _ step: UInt64) -> Int {
    let last = Kernels.weightSums(count: vocabularySize) - 1
    let target = Philox(seed: options.seed).uniform(step: step) * sums[last]
    var part = 0
    // Where rounding makes the target the whole sum, nothing exceeds it.
    while part < last, sums[part] <= target, sums[part] < sums[last] { part &+= 1 }
    var reached = part == 0 ? 0 : sums[part &- 1]
    var token = 0
    let start = part &* Kernels.weightsOfSum
    for index in start..<min(start &+ Kernels.weightsOfSum, vocabularySize) where values[index] > 0 {
      reached += Double(values[index])
      token = index
      if reached > target { break }
    }
    return token
  }
}
