// What adapters cost beside the base.

extension Benchmark {
  /// Base and live blend take turns, so that both see the same machine; the losses are medians over the pairs.
  mutating func live() throws(Failure) {
    guard let soup else { return }
    let base = try BlendHandle(self.base, [], .automatic)
    let live = try BlendHandle(soup, coefficients(), .live)
    let parameters = try soup.backbones().prefix(adapterCount).reduce(0) { $0 + $1.parameters }
    let names = (base: "base alone", live: "\(adapterCount) adapter\(adapterCount == 1 ? "" : "s")")
    if options.prefill > 0 {
      let prompt = tokens(options.prefill)
      let sessions = try sessions(base, live, context: prompt.count)
      let pairs = try paired(
        { () throws(Failure) in try prefillTime(sessions.base, prompt) },
        { () throws(Failure) in try prefillTime(sessions.live, prompt) })
      let (kind, adapterKind) = (weights.arithmetic, weights.adapterArithmetic)
      let linear = shape.linearElements
      let share = { (limits: Limits) in
        let (own, adapters) = (linear / limits.peak(kind), parameters / limits.peak(adapterKind))
        return adapters / (own + adapters)
      }
      add(pairs, "prefill of \(prompt.count)", names, tokens: prompt.count, limit: prefillLimit, share: share)
    }
    if options.decode > 0 {
      let sessions = try sessions(base, live, context: options.decode)
      let pairs = try paired(
        { () throws(Failure) in try decodeTime([sessions.base], depth: 0) },
        { () throws(Failure) in try decodeTime([sessions.live], depth: 0) })
      let limit = decodeLimit(position: Double(options.decode) / 2)
      let share = adapterBytes / (adapterBytes + weightBytes)
      add(pairs, "decode", names, tokens: options.decode, limit: limit, share: { _ in share })
      try change(sessions.live, from: live, soup: soup)
    }
  }

  private func sessions(
    _ base: BlendHandle, _ live: BlendHandle, context: Int
  ) throws(Failure) -> (base: SessionHandle, live: SessionHandle) {
    (
      try SessionHandle(base, context: context, kv: options.kv),
      try SessionHandle(live, context: context, kv: options.kv)
    )
  }

  private func paired(
    _ first: () throws(Failure) -> Double, _ second: () throws(Failure) -> Double
  ) throws(Failure) -> [(Double, Double)] {
    _ = (try first(), try second())
    var pairs: [(Double, Double)] = []
    for _ in 0..<options.repetitions { pairs.append((try first(), try second())) }
    return pairs
  }

  /// - Parameters:
  ///   - limit: tokens per second of the base.
  ///   - share: what of the time that bytes or operations take is the adapters', and with it the least loss.
  private mutating func add(
    _ pairs: [(Double, Double)], _ what: String, _ names: (base: String, live: String), tokens: Int,
    limit: @escaping Row.Limit, share: @escaping (Limits) -> Double
  ) {
    let rate = { (seconds: Double) in Double(tokens) / seconds }
    report.add("\(what), \(names.base)", Samples(pairs.map { rate($0.0) }), "tokens/s", limit: limit)
    report.add(
      "\(what), \(names.live)", Samples(pairs.map { rate($0.1) }), "tokens/s", limit: { limit($0) * (1 - share($0)) })
    report.add(
      "\(what), loss by \(names.live)", Samples(pairs.map { 100 * (1 - $0.0 / $0.1) }), "%",
      lessIsBetter: true, limit: { 100 * share($0) })
  }

  /// A change of the coefficients in a running text: the calls, and the next token against one without a change.
  private mutating func change(_ session: SessionHandle, from blend: BlendHandle, soup: SoupHandle) throws(Failure) {
    var calls: [Double] = []
    var unchanged: [Double] = []
    var changed: [Double] = []
    try session.rewind(to: 0)
    let count = min(options.decode / 2, max(8, 4 * options.repetitions))
    let text = tokens(2 * count, seed: 3)
    for index in 0..<count {
      try session.append(text[2 * index...2 * index])
      unchanged.append(try Clock.time { () throws(Failure) in try session.decode() })
      calls.append(
        try Clock.time { () throws(Failure) in
          try session.change(to: try BlendHandle(soup, coefficients(index + 1), .live))
        })
      try session.append(text[2 * index + 1...2 * index + 1])
      changed.append(try Clock.time { () throws(Failure) in try session.decode() })
    }
    guard count > 0 else { return }
    report.add("change of coefficients", Samples(calls.map { $0 * 1e6 }), "µs", lessIsBetter: true)
    report.add("next token without a change", Samples(unchanged.map { $0 * 1e3 }), "ms", lessIsBetter: true)
    report.add("next token after a change", Samples(changed.map { $0 * 1e3 }), "ms", lessIsBetter: true)
  }
}
