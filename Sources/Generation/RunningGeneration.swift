import Kernels
import Platform
import Tokenization
import Transformer

/// A generation that was begun on a session: its stops, how far it is, and the text that is not certain yet.
public final class RunningGeneration {
  /// How far the session's tokens were turned into text. A value: a step works on a copy, which takes the place of this one
  /// when nothing can fail any more.
  private struct Reading {
    var stream: DecodeStream?
    var text: TextStream
    /// Tokens of the session that the stream has gone through.
    var seen = 0
  }

  let options: GenerationOptions
  private let stops: StopMatcher
  private let endTokens: [Int32]
  private let hooked: Buffer?
  private var reading: Reading
  private var bytes: Vector<UInt8>
  /// The new text of the last step; valid until the next.
  private var certain: Vector<UInt8>
  /// The most probable tokens of the last step.
  private var top: Vector<TokenProbability>
  public private(set) var tokenCount = 0
  public internal(set) var finish = FinishReason.none

  /// Nothing of the session changes.
  init(_ options: GenerationOptions, on session: Session) throws(BoneSoupError) {
    let base = session.blend.soup.base
    let vocabulary = base.config.vocabularySize
    let allocator = session.engine.allocator
    stops = try options.validate(vocabularySize: vocabulary)
    self.options = options
    endTokens = options.ignoresEnd ? [] : base.config.endTokens
    hooked =
      options.hook == nil
      ? nil : try Buffer(of: Float.self, count: vocabulary, allocator: allocator, purpose: "the hook's logits")
    bytes = try Vector(allocator: allocator, purpose: "a token's text")
    certain = try Vector(allocator: allocator, purpose: "a step's text")
    top = try Vector(
      capacity: options.sampling.topLogProbabilities, allocator: allocator, purpose: "a step's alternatives")
    reading = Reading(stream: base.tokenizer?.makeStream(skipSpecial: true), text: TextStream(stops: stops))
  }

  /// The new text of the last step.
  public var stepText: UnsafeBufferPointer<UInt8> { certain.span }

  /// The most probable tokens of the last step, as many as were asked for; valid until the next.
  public var stepTop: UnsafeBufferPointer<TokenProbability> { top.span }

  /// Chooses the next token from the session's last logits and appends it to the session. A failure changes nothing.
  func step(_ session: Session) throws(BoneSoupError) -> GenerationStep {
    guard finish == .none else {
      throw .invalidArgument("the generation has finished; begin another")
    }
    certain.removeAll()
    top.removeAll()
    if options.maximumTokens == 0 { return try finish(.length) }
    if session.tokenCount >= session.context { return try finish(.context) }
    guard let logits = session.lastLogits else {
      throw .notReady(
        session.tokenCount == 0
          ? "the session is empty: append a prompt, then decode"
          : "the session has \(session.pendingCount) pending tokens: decode first")
    }
    let history = session.tokenSpan
    let hooked = try runHook(logits, history, session.host)
    let sampled = try session.withSampler { (sampler) throws(BoneSoupError) in
      try sampler.sample(
        logits: logits, hooked: hooked, history: history, options: options.sampling, step: UInt64(history.count))
    }
    for alternative in sampled.top { try top.append(alternative) }
    let token = sampled.chosen.token
    var next = reading
    try follow(history, &next)
    let reason = try read(token, &next)
    try session.append(token)
    reading = next
    tokenCount += 1
    finish = reason
    return GenerationStep(token: token, logProbability: sampled.chosen.logProbability, finish: reason)
  }

  /// Goes through the tokens that were there before the generation, or that the host has put in since: what a token spells
  /// depends on those before it. Their own text is no part of the new text, and parts it: what was held back comes out.
  private func follow(_ history: UnsafeBufferPointer<Int32>, _ reading: inout Reading) throws(BoneSoupError) {
    guard reading.seen < history.count else { return }
    try reading.text.finish(to: &certain)
    reading.text = TextStream(stops: stops)
    for token in history[reading.seen...] {
      bytes.removeAll()
      try reading.stream?.append(token, into: &bytes)
    }
    reading.seen = history.count
  }

  /// Turns a new token into text and says whether it is the last.
  private func read(_ token: Int32, _ reading: inout Reading) throws(BoneSoupError) -> FinishReason {
    var reason = FinishReason.none
    if endTokens.contains(token) {
      reason = .end
    } else if options.stopTokens.contains(token) {
      reason = .stopToken
    } else {
      bytes.removeAll()
      try reading.stream?.append(token, into: &bytes)
      try reading.text.append(UnsafeRawBufferPointer(bytes.span), to: &certain)
      if reading.text.stop != nil {
        reason = .stopString
      } else if let maximum = options.maximumTokens, tokenCount + 1 >= maximum {
        reason = .length
      }
    }
    reading.seen += 1
    if reason != .none { try reading.text.finish(to: &certain) }
    return reason
  }

  /// The step that finds no room for a token.
  private func finish(_ reason: FinishReason) throws(BoneSoupError) -> GenerationStep {
    var next = reading
    try next.text.finish(to: &certain)
    reading = next
    finish = reason
    return GenerationStep(token: -1, logProbability: 0, finish: reason)
  }

  /// Ends a text before its time: its new text is what was held back.
  func breakOff(_ reason: FinishReason) throws(BoneSoupError) {
    finish = reason
    certain.removeAll()
    try reading.text.finish(to: &certain)
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
