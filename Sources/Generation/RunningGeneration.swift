import Kernels
import Platform
import Tokenization
import Transformer

/// A generation that was begun on a session: its sampler, its stops, and the text that is not certain yet.
public final class RunningGeneration {
  let options: GenerationOptions
  let sampler: Sampler
  private let endTokens: [Int32]
  private let hooked: Buffer?
  private var stream: DecodeStream?
  private var text: TextStream
  private var bytes: Vector<UInt8>
  /// The new text of the last step; valid until the next.
  private var certain: Vector<UInt8>
  /// The most probable tokens of the last step.
  private var top: Vector<TokenProbability>
  public private(set) var tokenCount = 0
  public internal(set) var finish = FinishReason.none

  /// - Parameter session: its tokens so far are what the new text follows.
  init(_ options: GenerationOptions, on session: Session) throws(BoneSoupError) {
    let base = session.blend.soup.base
    let vocabulary = base.config.vocabularySize
    let allocator = session.engine.allocator
    try options.validate(vocabularySize: vocabulary)
    self.options = options
    text = TextStream(stops: try StopMatcher(options.stopStrings))
    endTokens = options.ignoresEnd ? [] : base.config.endTokens
    sampler = try Sampler(vocabularySize: vocabulary, kernels: session.engine.kernels, allocator: allocator)
    hooked =
      options.hook == nil
      ? nil : try Buffer(of: Float.self, count: vocabulary, allocator: allocator, purpose: "the hook's logits")
    bytes = try Vector(allocator: allocator, purpose: "a token's text")
    certain = try Vector(allocator: allocator, purpose: "a step's text")
    top = try Vector(
      capacity: options.sampling.topLogProbabilities, allocator: allocator, purpose: "a step's alternatives")
    stream = base.tokenizer?.makeStream(skipSpecial: true)
    // What a token spells depends on those before it: the stream goes through them first.
    for token in session.tokenSpan { try stream?.append(token, into: &bytes) }
    bytes.removeAll()
  }

  /// The new text of the last step.
  public var stepText: UnsafeBufferPointer<UInt8> { certain.span }

  /// The most probable tokens of the last step, as many as were asked for; valid until the next.
  public var stepTop: UnsafeBufferPointer<TokenProbability> { top.span }

  /// Chooses the next token from the session's last logits and appends it to the session.
  func step(_ session: Session) throws(BoneSoupError) -> GenerationStep {
    guard finish == .none else {
      throw .invalidArgument("the generation has finished; begin another")
    }
    certain.removeAll()
    top.removeAll()
    if options.maximumTokens == 0 { return try end(.length, token: -1) }
    if session.tokenCount >= session.context { return try end(.context, token: -1) }
    guard let logits = session.lastLogits else {
      throw .notReady(
        session.tokenCount == 0
          ? "the session is empty: append a prompt, then decode"
          : "the session has \(session.pendingCount) pending tokens: decode first")
    }
    let history = session.tokenSpan
    let sampled = try sampler.sample(
      logits: logits, hooked: try runHook(logits, history, session.host), history: history, options: options.sampling,
      step: UInt64(history.count))
    let token = sampled.chosen.token
    for alternative in sampled.top { try top.append(alternative) }
    try session.append(token)
    tokenCount += 1
    if endTokens.contains(token) { return try end(.end, token: token, sampled) }
    if options.stopTokens.contains(token) { return try end(.stopToken, token: token, sampled) }
    bytes.removeAll()
    try stream?.append(token, into: &bytes)
    try text.append(UnsafeRawBufferPointer(bytes.span), to: &certain)
    if text.stop != nil { return try end(.stopString, token: token, sampled) }
    if let maximum = options.maximumTokens, tokenCount >= maximum {
      return try end(.length, token: token, sampled)
    }
    return GenerationStep(
      token: token, logProbability: sampled.chosen.logProbability, finish: .none)
  }

  private func end(
    _ reason: FinishReason, token: Int32, _ sampled: SampledToken? = nil
  ) throws(BoneSoupError) -> GenerationStep {
    try flush()
    finish = reason
    return GenerationStep(
      token: token, logProbability: sampled?.chosen.logProbability ?? 0, finish: reason)
  }

  /// Lets out the text that was held back; nothing more comes after it.
  private func flush() throws(BoneSoupError) { try text.finish(to: &certain) }

  /// Ends a text before its time: its new text is what was held back.
  func breakOff(_ reason: FinishReason) throws(BoneSoupError) {
    finish = reason
    certain.removeAll()
    try flush()
  }

  private func runHook(
    _ logits: UnsafeBufferPointer<Float>, _ history: UnsafeBufferPointer<Int32>, _ host: FloatingPointControl?
  ) throws(BoneSoupError) -> UnsafeBufferPointer<Float>? {
    guard let hook = options.hook, let hooked, let source = logits.baseAddress else { return nil }
    let copy = UnsafeMutableBufferPointer(start: hooked.elements(Float.self), count: logits.count)
    hooked.elements(Float.self).update(from: source, count: logits.count)
    let goesOn = host?.asHost { hook(copy, history) } ?? hook(copy, history)
    guard goesOn else { throw .cancelled }
    return UnsafeBufferPointer(copy)
  }
}
