public import Kernels
public import Platform
public import Soups
import Synchronization
import Transformer

/// One running text: its tokens, their keys and values, and the blend it uses.
///
/// Used by one thread at a time; `acquire` says whether it is free. A session that is not empty has pending tokens or the
/// logits of its last one.
public final class Session: @unchecked Sendable {
  /// Keys and values from one position on were made by one blend.
  struct Stretch: Equatable {
    var start: Int
    var fingerprint: Fingerprint
  }

  /// Positions that a session gets where the host names none, at most.
  public static let defaultContext = 4096

  public internal(set) var blend: Blend
  var cache: KVCache
  var tokens: Vector<Int32>
  /// Tokens whose keys and values are in the cache; the others are pending.
  public internal(set) var computed = 0
  var kept: KeptLogits
  /// The run of `Decoding` that last computed something of it.
  var lastTurn: UInt64 = 0
  var stretches: [Stretch]
  /// Positions before this one are computed by the base alone, those from it on by the blend; 0 is the blend everywhere.
  public private(set) var responseStart = 0
  /// The generation that was begun, until it is ended.
  public internal(set) var generation: RunningGeneration?
  /// Of the call that is using the session.
  private(set) var host: FloatingPointControl?
  private let isBusy = Atomic<Bool>(false)

  /// - Parameters:
  ///   - context: positions at most; nil is what the model was made for, `defaultContext` at most.
  ///   - type: of the KV cache; nil is the one that goes with the weights.
  public init(_ blend: Blend, context: Int?, type: CacheFormat?) throws(BoneSoupError) {
    _ = try blend.weights()
    let engine = blend.soup.engine
    self.blend = blend
    cache = try KVCache(
      layout: try Self.layout(blend, type: type), capacity: Self.capacity(blend, context: context),
      allocator: engine.allocator)
    tokens = try Vector(limit: cache.capacity, allocator: engine.allocator, purpose: "a session's tokens")
    kept = KeptLogits(vocabulary: blend.soup.base.config.vocabularySize, allocator: engine.allocator)
    stretches = [Stretch(start: 0, fingerprint: blend.fingerprint)]
  }

  private init(copyOf other: Session) throws(BoneSoupError) {
    blend = other.blend
    cache = try other.cache.fork()
    tokens = try Vector(
      capacity: other.tokens.count, limit: cache.capacity, allocator: other.engine.allocator,
      purpose: "a session's tokens")
    try tokens.append(contentsOf: other.tokens.span)
    computed = other.computed
    responseStart = other.responseStart
    kept = try other.kept.copyOfLast()
    stretches = other.stretches
  }

  private static func layout(_ blend: Blend, type: CacheFormat?) throws(BoneSoupError) -> KVLayout {
    try KVLayout(blend.soup.base.config, type: type ?? CacheFormat(for: blend.plan.format))
  }

  private static func capacity(_ blend: Blend, context: Int?) throws(BoneSoupError) -> Int {
    let made = blend.soup.base.config.contextLength
    guard let context else { return min(made, defaultContext) }
    guard context <= made else {
      throw .invalidArgument("a context of \(context) positions is more than the \(made) that the model was made for")
    }
    return context
  }

  /// Bytes of a session whose context is full: keys and values, tokens, and the last logits.
  public static func byteCount(_ blend: Blend, context: Int?, type: CacheFormat?) throws(BoneSoupError) -> Int {
    let capacity = try capacity(blend, context: context)
    return try layout(blend, type: type).byteCount(capacity: capacity) + capacity * MemoryLayout<Int32>.stride
      + blend.soup.base.config.vocabularySize * MemoryLayout<Float>.stride
  }

  var engine: Engine { blend.soup.engine }
  public var context: Int { cache.capacity }
  public var type: CacheFormat { cache.layout.type }
  /// Bytes held now, shared keys and values included.
  public var byteCount: Int {
    cache.byteCount + cache.tableByteCount + tokens.capacity * MemoryLayout<Int32>.stride + kept.byteCount
  }
  public var tokenCount: Int { tokens.count }
  public var pendingCount: Int { tokens.count - computed }
  /// All tokens; valid until the session changes.
  public var tokenSpan: UnsafeBufferPointer<Int32> { tokens.span }

  /// Makes the caller the session's user, or throws `.busy`.
  ///
  /// - Parameter host: the mode in which the hook of a generation runs.
  public func acquire(_ host: FloatingPointControl) throws(BoneSoupError) {
    guard isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
      throw .busy("the session is in use by another call; a session takes one at a time")
    }
    self.host = host
  }

  public func release() { isBusy.store(false, ordering: .releasing) }

  /// Appends tokens; nothing is computed.
  public func append(_ new: UnsafeBufferPointer<Int32>) throws(BoneSoupError) {
    let vocabulary = blend.soup.base.config.vocabularySize
    for token in new where token < 0 || token >= vocabulary {
      throw .invalidArgument("token \(token) is not in the model's vocabulary of \(vocabulary)")
    }
    guard new.count <= context - tokens.count else {
      throw .contextFull(
        "\(new.count) tokens do not fit: the session holds \(tokens.count) of at most \(context); "
          + "rewind it, or make one with a larger context")
    }
    try tokens.append(contentsOf: new)
  }

  /// Appends one token that a sampler chose; the caller has made sure of the room.
  func append(_ token: Int32) throws(BoneSoupError) { try tokens.append(token) }

  /// Appends text. Special tokens are added before it, and only where the session is empty.
  ///
  /// - Returns: the number of its tokens.
  public func append(
    text: UnsafeRawBufferPointer, addSpecial: Bool, parseSpecial: Bool, monitor: Monitor
  ) throws(BoneSoupError) -> Int {
    let tokenizer = try blend.soup.base.requireTokenizer()
    var new = try Vector<Int32>(allocator: engine.allocator, purpose: "a text's tokens")
    if addSpecial, tokens.count == 0 {
      for token in tokenizer.specialTokensBefore { try new.append(token) }
    }
    try tokenizer.encode(text, addSpecial: false, parseSpecial: parseSpecial, into: &new, monitor: monitor)
    try append(new.span)
    return new.count
  }

  /// Keeps the first `count` tokens; the last of them is pending again.
  public func rewind(to count: Int) throws(BoneSoupError) {
    guard count >= 0, count <= tokens.count else {
      throw .invalidArgument("the session has \(tokens.count) tokens and cannot be rewound to \(count)")
    }
    generation = nil
    if count == 0 { responseStart = 0 }
    tokens.truncate(to: count)
    forgetFrom(min(computed, max(count - 1, 0)))
  }

  /// A copy that goes its own way. A generation that was begun is not copied.
  public func fork() throws(BoneSoupError) -> Session { try Session(copyOf: self) }

  public enum BlendPolicy: Int, Sendable {
    /// The tokens so far are computed again.
    case recompute = 0
    /// The old blend's keys, values and logits are kept.
    case keepGoing = 1
  }

  public func set(_ next: Blend, policy: BlendPolicy) throws(BoneSoupError) {
    guard next.soup.base === blend.soup.base else {
      throw .mismatch("the blend is of another soup than the session's; open both from one soup")
    }
    _ = try next.weights()
    blend = next
    switch policy {
    case .recompute: if responseStart > 0 { keepWhatAgrees() } else { forgetFrom(0) }
    case .keepGoing: continueStretch()
    }
  }

  /// Makes the blend response-only: it computes from this position on, and the base alone what is before it. Positions that
  /// were computed by another than is right now are pending again.
  func startResponse(at position: Int) {
    responseStart = position
    keepWhatAgrees()
  }

  /// Drops what was computed by another than is right now, and all after it.
  private func keepWhatAgrees() {
    let agreement = agreement
    if agreement < computed { forgetFrom(agreement) } else { continueStretch() }
  }

  /// Whose keys and values a position should have.
  private func fingerprint(at position: Int) -> Fingerprint {
    position < responseStart ? blend.soup.baseFingerprint : blend.fingerprint
  }

  /// How many of the first computed positions were computed by whom they should be.
  private var agreement: Int {
    var agreed = 0
    for (index, stretch) in stretches.enumerated() {
      let end = min(computed, index + 1 < stretches.count ? stretches[index + 1].start : computed)
      guard stretch.start < end else { break }  // of positions that are still to be computed
      let middle = min(max(stretch.start, responseStart), end)
      for part in [stretch.start..<middle, middle..<end] where !part.isEmpty {
        if stretch.fingerprint != fingerprint(at: part.lowerBound) { return agreed }
        agreed = part.upperBound
      }
    }
    return agreed
  }

  /// Drops keys, values and logits from a position on.
  private func forgetFrom(_ position: Int) {
    computed = position
    cache.truncate(to: position)
    kept.removeAll()
    stretches.removeAll { $0.start >= position }
    continueStretch()
  }

  /// What is computed from here on is the present blend's.
  private func continueStretch() {
    while let last = stretches.last, last.start >= computed { stretches.removeLast() }
    for start in computed < responseStart ? [computed, responseStart] : [computed] {
      let next = fingerprint(at: start)
      if stretches.last?.fingerprint != next { stretches.append(Stretch(start: start, fingerprint: next)) }
    }
  }

  /// Of the state: every blend that made keys and values, where it began, and the cache's type.
  public var fingerprint: Fingerprint {
    var builder = FingerprintBuilder(domain: "session")
    builder.add("KV type", integers: [Int64(type.rawValue)])
    for stretch in stretches {
      builder.add("from", integers: [Int64(stretch.start)])
      builder.add("blend", fingerprint: stretch.fingerprint)
    }
    return builder.fingerprint
  }

  /// The logits after a position, nil for the last computed one. Valid until the session changes.
  public func logits(after position: Int?) throws(BoneSoupError) -> UnsafeBufferPointer<Float> {
    let wanted = position ?? computed - 1
    guard let logits = kept.logits(after: wanted) else {
      throw .notReady(
        wanted < 0 || wanted >= tokens.count
          ? "the session has no position \(wanted)"
          : "the logits after position \(wanted) are not there: decode first, with all_logits for more than the last")
    }
    return logits
  }

  /// The logits of the last token; nil while tokens are pending.
  var lastLogits: UnsafeBufferPointer<Float>? {
    computed == tokens.count ? kept.logits(after: computed - 1) : nil
  }
}
