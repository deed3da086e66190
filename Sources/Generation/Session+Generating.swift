public import Platform

/// Prompt in, text out.
extension Session {
  /// What a call of `generate` gets beside the options.
  public struct Prompt {
    public var text: UnsafeRawBufferPointer
    public var addsSpecial = true
    public var parsesSpecial = false

    public init(_ text: UnsafeRawBufferPointer) { self.text = text }
  }

  /// Begins a generation that `next` carries on; one that was begun before is ended.
  ///
  /// The tokens so far are the prompt.
  public func begin(_ options: GenerationOptions) throws(BoneSoupError) {
    let next = try RunningGeneration(options, on: self)
    if options.isResponseOnly {
      guard tokenCount > 0 else {
        throw .notReady("the session is empty: a response-only blend needs the prompt before the generation begins")
      }
      startResponse(at: tokenCount - 1)
    }
    generation = next
  }

  /// Chooses one token from the last logits and appends it.
  public func next() throws(BoneSoupError) -> GenerationStep { try runningGeneration().step(self) }

  /// The generation that was begun, or one with the default options.
  func runningGeneration() throws(BoneSoupError) -> RunningGeneration {
    if generation == nil { try begin(GenerationOptions()) }
    guard let generation else { throw .internalFault("a generation that was begun is gone") }
    return generation
  }

  /// Bytes of the weights that a position of the session goes through.
  var weightBytes: Int { ((try? blend.weights())?.byteCount ?? 0) + (blend.adapters?.byteCount ?? 0) }

  /// Appends the prompt and generates until a stop.
  ///
  /// - Parameters:
  ///   - onText: gets new text; false ends the generation.
  ///   - monitor: its progress is the share of the prompt computed.
  /// - Returns: the text, as far as it came, and what ended it before its time. Nothing is returned where the prompt could
  ///   not be computed: that is thrown.
  public func generate(
    _ prompt: Prompt, _ options: GenerationOptions, monitor: Monitor,
    onText: ((UnsafeBufferPointer<UInt8>) -> Bool)?
  ) throws(BoneSoupError) -> (text: GeneratedText, failure: BoneSoupError?) {
    // Wrong options are found before anything of the session changes.
    let generation = try RunningGeneration(options, on: self)
    let result = try GeneratedText(topCount: options.sampling.topLogProbabilities, allocator: engine.allocator)
    self.generation = nil
    if !prompt.text.isEmpty || blend.soup.base.tokenizer != nil {  // tokens that were appended need none
      result.promptTokenCount = try append(
        text: prompt.text, addSpecial: prompt.addsSpecial, parseSpecial: prompt.parsesSpecial, monitor: monitor)
    }
    guard tokenCount > 0 else {
      throw .notReady(
        "the session and the prompt are empty, and the tokenizer adds nothing: there is nothing to follow")
    }
    if options.isResponseOnly { startResponse(at: tokenCount - 1) }
    self.generation = generation
    let start = monotonicSeconds()
    result.prefilledTokenCount = pendingCount
    try compute(monitor)
    let middle = monotonicSeconds()
    result.prefillSeconds = middle - start
    var failure: BoneSoupError?
    do {
      try follow(generation, into: result, monitor: monitor.silent, onText: onText)
      result.finish = generation.finish
    } catch {
      failure = error
      result.finish = error == .cancelled ? .cancelled : .error
      // The failure that ended it matters more than one of showing its last bytes.
      if (try? generation.breakOff(result.finish)) != nil { try? result.append(text: generation.stepText) }
    }
    self.generation = nil
    result.decodeSeconds = monotonicSeconds() - middle
    result.fingerprint = fingerprint.description
    return (result, failure)
  }

  /// Lends a sampler: one for all who sample at once, not one for each session.
  func withSampler<Result>(
    _ body: (Sampler) throws(BoneSoupError) -> Result
  ) throws(BoneSoupError) -> Result {
    let base = blend.soup.base
    let make = { () throws(BoneSoupError) in
      try Sampler(
        vocabularySize: base.config.vocabularySize, kernels: self.engine.kernels, allocator: self.engine.allocator)
    }
    return try base.works.lend(make, body)
  }

  private func compute(_ monitor: Monitor) throws(BoneSoupError) {
    if let failure = Decoding.run([self], monitor: monitor)[0] { throw failure }
  }

  private func follow(
    _ generation: RunningGeneration, into result: GeneratedText, monitor: Monitor,
    onText: ((UnsafeBufferPointer<UInt8>) -> Bool)?
  ) throws(BoneSoupError) {
    if generation.options.maximumTokens == 0 {
      generation.finish = .length
      return
    }
    while generation.finish == .none {
      try monitor.check()
      if pendingCount > 0, tokenCount < context { try compute(monitor) }
      let step = try generation.step(self)
      try result.append(step, top: generation.stepTop)
      let new = generation.stepText
      guard !new.isEmpty else { continue }
      try result.append(text: new)
      if let onText, !onText(new) {
        try generation.breakOff(.callback)
        try result.append(text: generation.stepText)
      }
    }
  }
}
