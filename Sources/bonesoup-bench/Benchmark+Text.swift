// The rows of one running text, and of several.

extension Benchmark {
  /// Tokens of a prompt per second.
  mutating func prefill() throws(Failure) {
    let prompt = tokens(options.prefill)
    let session = try SessionHandle(BlendHandle(base, [], .automatic), context: prompt.count, kv: options.kv)
    let times = try repeated { () throws(Failure) in try prefillTime(session, prompt) }
    report.add("prefill of \(prompt.count)", times.map { Double(prompt.count) / $0 }, "tokens/s", limit: prefillLimit)
  }

  /// Seconds to compute a prompt from nothing.
  func prefillTime(_ session: SessionHandle, _ prompt: [Int32]) throws(Failure) -> Double {
    try session.rewind(to: 0)
    try session.append(prompt[...])
    return try Clock.time { () throws(Failure) in try session.decode() }
  }

  /// Tokens decoded one by one per second: from nothing, and after the prompt.
  mutating func decode() throws(Failure) {
    for depth in Set([0, options.prefill]).sorted() {
      let session = try SessionHandle(
        BlendHandle(base, [], .automatic), context: depth + options.decode, kv: options.kv)
      try session.append(tokens(depth)[...])
      try session.decode()
      let times = try repeated { () throws(Failure) in try decodeTime([session], depth: depth) }
      report.add(
        depth == 0 ? "decode" : "decode after \(depth)", times.map { Double(options.decode) / $0 }, "tokens/s",
        limit: decodeLimit(position: Double(depth) + Double(options.decode) / 2))
    }
  }

  /// Seconds to decode as many tokens as the options say, one at a time, in sessions that have computed `depth` tokens.
  func decodeTime(_ sessions: [SessionHandle], depth: Int, count: Int? = nil) throws(Failure) -> Double {
    let text = tokens(count ?? options.decode, seed: 2)
    for session in sessions { try session.rewind(to: depth) }
    if depth > 0 { try SessionHandle.decode(sessions) }
    return try Clock.time { () throws(Failure) in
      for index in text.indices {
        for session in sessions { try session.append(text[index...index]) }
        try SessionHandle.decode(sessions)
      }
    }
  }

  /// Tokens per second of several sessions that decode together, in all: with one blend, and each with its own.
  mutating func batch() throws(Failure) {
    let same = try BlendHandle(base, [], .automatic)
    let sessions = try (0..<options.batch).map { (_: Int) throws(Failure) in try batchSession(same) }
    report.add(try batch("batch of \(options.batch)", sessions, adapters: false))
    guard let soup, adapterCount > 0 else { return }
    let different = try (0..<options.batch).map { (index: Int) throws(Failure) in
      try batchSession(try BlendHandle(soup, coefficients(index), .live))
    }
    let name = "batch of \(options.batch), a preference each, \(adapterCount) adapters"
    report.add(try batch(name, different, adapters: true))
  }

  /// A few steps are enough: each is as long as that of many tokens.
  private var batchSteps: Int { max(1, min(16, options.decode)) }

  private func batchSession(_ blend: BlendHandle) throws(Failure) -> SessionHandle {
    try SessionHandle(blend, context: batchSteps, kv: options.kv)
  }

  private func batch(_ name: String, _ sessions: [SessionHandle], adapters: Bool) throws(Failure) -> Row {
    let steps = batchSteps
    let times = try repeated { () throws(Failure) in try decodeTime(sessions, depth: 0, count: steps) }
    let limit = decodeLimit(sessions: sessions.count, position: Double(steps) / 2, adapters: adapters)
    return Row(
      name: name, samples: times.map { Double(steps * sessions.count) / $0 }, unit: "tokens/s", limit: limit)
  }
}
