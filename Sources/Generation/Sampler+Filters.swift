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

  /// The last candidate (by its index) of the fewest whose weights reach the share `p` of all.
  private func nucleus(_ count: Int, _ p: Double) -> Candidate {
    let total = sum(count)
    // All candidates lighter than this weigh less than (1 − p)·total together: the others reach p without them.
    let negligible = (1 - p) * total / Double(count)
    var heavy = 0
    for index in 0..<count where Double(values[index]) >= negligible {
      candidates[heavy] = Candidate(value: values[index], token: index)
      heavy &+= 1
    }
    return Candidates.reaching(p * total, candidates, count: heavy)
  }

  private func keep(_ count: Int, where isKept: (Int) -> Bool) -> Int {
    var kept = 0
    for index in 0..<count where isKept(index) {
      values[kept] = values[index]
      tokens[kept] = tokens[index]
      kept &+= 1
    }
    return kept
  }

  private func sum(_ count: Int) -> Double {
    var total = 0.0
    for index in 0..<count { total += Double(values[index]) }
    return total
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
}
