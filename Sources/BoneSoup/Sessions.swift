import CBoneSoup
import Generation
import Kernels
import Platform
import Soups

// Chapters 9 and 10 of the header: sessions and batches.

extension Session {
  /// The session of a handle, acquired for the time of `body`.
  fileprivate static func use<Result>(
    _ handle: OpaquePointer?, _ call: Call, _ body: (Session) throws(BoneSoupError) -> Result
  ) throws(BoneSoupError) -> Result {
    let session = try Handles.take(handle, Session.self)
    try session.acquire(call.host)
    defer { session.release() }
    return try body(session)
  }
}

private var sessionDefaults: bsoup_session_options {
  bsoup_session_options(
    struct_size: UInt32(MemoryLayout<bsoup_session_options>.size), context: 0,
    kv_format: UInt32(BSOUP_FORMAT_DEFAULT), reserved: 0)
}

@c @implementation
public func bsoup_session_options_init(_ options: UnsafeMutablePointer<bsoup_session_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, sessionDefaults)
}

private func readSessionOptions(
  _ pointer: UnsafePointer<bsoup_session_options>?
) throws(BoneSoupError) -> bsoup_session_options {
  let raw = try Structs.read(pointer, sessionDefaults, "bsoup_session_options")
  try Structs.requireZero(raw.reserved, "bsoup_session_options")
  return raw
}

@c @implementation
public func bsoup_session_create(
  _ blend: OpaquePointer!, _ options: UnsafePointer<bsoup_session_options>!,
  _ session: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  Call.making(session, "session") { (call) throws(BoneSoupError) in
    let blend = try Handles.take(blend, Blend.self)
    let raw = try readSessionOptions(options)
    return try Session(
      blend, context: raw.context == 0 ? nil : Int(raw.context),
      type: try Arguments.cacheFormat(raw.kv_format))
  }
}

@c @implementation
public func bsoup_session_free(_ session: OpaquePointer!) { Handles.free(session, Session.self) }

@c @implementation
public func bsoup_session_memory(
  _ blend: OpaquePointer!, _ options: UnsafePointer<bsoup_session_options>!, _ bytes: UnsafeMutablePointer<UInt64>!
) -> bsoup_status {
  Call.measuring(bytes) { (call) throws(BoneSoupError) in
    let blend = try Handles.take(blend, Blend.self)
    let raw = try readSessionOptions(options)
    return try Session.byteCount(
      blend, context: raw.context == 0 ? nil : Int(raw.context),
      type: try Arguments.cacheFormat(raw.kv_format))
  }
}

@c @implementation
public func bsoup_session_append(
  _ session: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    try Session.use(session, call) { (session) throws(BoneSoupError) in
      try session.append(try Arguments.values(tokens, count, "tokens"))
    }
  }
}

@c @implementation
public func bsoup_session_append_text(
  _ session: OpaquePointer!, _ text: UnsafePointer<CChar>!, _ size: Int, _ tokenize: UInt32,
  _ cancel: OpaquePointer!, _ count: UnsafeMutablePointer<Int>!
) -> bsoup_status {
  count?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    try Session.use(session, call) { (session) throws(BoneSoupError) in
      let flags = try TokenizeFlags(tokenize)
      let added = try session.append(
        text: try Arguments.text(text, size, "text"), addSpecial: flags.addsSpecial,
        parseSpecial: flags.parsesSpecial, monitor: try call.monitor(cancel))
      count?.pointee = added
    }
  }
}

@c @implementation
public func bsoup_session_rewind(_ session: OpaquePointer!, _ count: Int) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    try Session.use(session, call) { (session) throws(BoneSoupError) in try session.rewind(to: count) }
  }
}

@c @implementation
public func bsoup_session_fork(
  _ session: OpaquePointer!, _ fork: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  Call.making(fork, "fork") { (call) throws(BoneSoupError) in
    try Session.use(session, call) { (session) throws(BoneSoupError) in try session.fork() }
  }
}

@c @implementation
public func bsoup_session_set_blend(
  _ session: OpaquePointer!, _ blend: OpaquePointer!, _ policy: UInt32
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    guard let policy = Session.BlendPolicy(rawValue: Int(policy)) else {
      throw .invalidArgument("policy is \(policy); it must be BSOUP_RECOMPUTE or BSOUP_CONTINUE")
    }
    let blend = try Handles.take(blend, Blend.self)
    try Session.use(session, call) { (session) throws(BoneSoupError) in try session.set(blend, policy: policy) }
  }
}

@c @implementation
public func bsoup_session_get_info(
  _ session: OpaquePointer!, _ info: UnsafeMutablePointer<bsoup_session_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    try Session.use(session, call) { (session) throws(BoneSoupError) in
      var value = bsoup_session_info()
      value.kv_format = Arguments.cacheFormatNumber(session.type)
      value.token_count = UInt64(session.tokenCount)
      value.computed_count = UInt64(session.computed)
      value.context = UInt64(session.context)
      value.memory = UInt64(session.byteCount)
      value.response_start = UInt64(session.responseStart)
      Structs.text72(session.fingerprint.description, into: &value.fingerprint)
      try Structs.write(value, to: info, "bsoup_session_info", added: \bsoup_session_info.response_start)
    }
  }
}

@c @implementation
public func bsoup_session_tokens(
  _ session: OpaquePointer!, _ tokens: UnsafeMutablePointer<UnsafePointer<Int32>?>!,
  _ count: UnsafeMutablePointer<Int>!
) -> bsoup_status {
  tokens?.pointee = nil
  count?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    let target = try Arguments.required(tokens, "tokens")
    let size = try Arguments.required(count, "count")
    try Session.use(session, call) { (session) throws(BoneSoupError) in
      target.pointee = session.tokenSpan.baseAddress
      size.pointee = session.tokenCount
    }
  }
}

@c @implementation
public func bsoup_session_generate(
  _ session: OpaquePointer!, _ prompt: UnsafePointer<CChar>!, _ prompt_size: Int,
  _ options: UnsafePointer<bsoup_generate_options>!, _ generation: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  generation?.pointee = nil
  return Call.run { (call) throws(BoneSoupError) in
    let prompt = try Arguments.text(prompt, prompt_size, "prompt")
    let request = try GenerateRequest(options)
    try Session.use(session, call) { (session) throws(BoneSoupError) in
      try request.generate(on: session, prompt: prompt, call: call, into: generation)
    }
  }
}

private var decodeDefaults: bsoup_decode_options {
  bsoup_decode_options(
    struct_size: UInt32(MemoryLayout<bsoup_decode_options>.size), max_rows: 0, all_logits: 0, reserved: 0,
    statuses: nil, cancel: nil, progress: nil, progress_context: nil)
}

@c @implementation
public func bsoup_decode_options_init(_ options: UnsafeMutablePointer<bsoup_decode_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, decodeDefaults)
}

@c @implementation
public func bsoup_decode(
  _ sessions: UnsafePointer<OpaquePointer?>!, _ count: Int, _ options: UnsafePointer<bsoup_decode_options>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let request = try DecodeRequest(sessions, count, options, call)
    let held = HeldSessions()
    defer { held.release() }
    try request.hold(held, call)
    try request.tell(Decoding.run(held.sessions, options: request.options, monitor: request.monitor))
  }
}

@c @implementation
public func bsoup_generate_batch(
  _ sessions: UnsafePointer<OpaquePointer?>!, _ count: Int, _ options: UnsafePointer<bsoup_decode_options>!,
  _ generations: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let request = try DecodeRequest(sessions, count, options, call)
    for index in 0..<request.handles.count { generations?[index] = nil }
    guard request.options.maximumRows == nil, !request.options.keepsAllLogits else {
      throw .invalidArgument("max_rows and all_logits are for bsoup_decode; bsoup_generate_batch takes neither")
    }
    let held = HeldSessions()
    defer { held.release() }
    try request.hold(held, call)
    var failures: [BoneSoupError?] = []
    for (index, outcome) in BatchGeneration.run(held.sessions, monitor: request.monitor).enumerated() {
      var failure = outcome.failure
      if let generations, let text = outcome.text {
        do throws(BoneSoupError) { try Handles.give(text, to: generations + index) } catch {
          failure = failure ?? error
        }
      }
      failures.append(failure)
    }
    try request.tell(failures)
  }
}

/// What a decode is asked for.
private struct DecodeRequest {
  let handles: UnsafeBufferPointer<OpaquePointer?>
  let monitor: Monitor
  var options = Decoding.Options()
  private let statuses: UnsafeMutablePointer<bsoup_status>?

  init(
    _ sessions: UnsafePointer<OpaquePointer?>?, _ count: Int, _ pointer: UnsafePointer<bsoup_decode_options>?,
    _ call: Call
  ) throws(BoneSoupError) {
    guard count <= 1 << 20 else { throw .invalidArgument("\(count) sessions in one decode are too many") }
    handles = try Arguments.values(sessions, count, "sessions")
    let raw = try Structs.read(pointer, decodeDefaults, "bsoup_decode_options")
    try Structs.requireZero(raw.reserved, "bsoup_decode_options")
    monitor = try call.monitor(raw.cancel, raw.progress, raw.progress_context)
    options.maximumRows = raw.max_rows == 0 ? nil : Int(raw.max_rows)
    options.keepsAllLogits = try Arguments.flag(raw.all_logits, "all_logits")
    statuses = raw.statuses
    for index in 0..<handles.count { statuses?[index] = bsoup_status(BSOUP_OK) }
  }

  /// Acquires all sessions, or throws, and then nothing is to be computed.
  func hold(_ held: HeldSessions, _ call: Call) throws(BoneSoupError) {
    for (index, handle) in handles.enumerated() {
      do throws(BoneSoupError) {
        try held.add(handle, call)
      } catch {
        for other in 0..<handles.count { statuses?[other] = bsoup_status(BSOUP_NOT_READY) }
        statuses?[index] = error.status
        throw error
      }
    }
  }

  /// Tells what became of each session, and throws the first failure in order.
  func tell(_ failures: [BoneSoupError?]) throws(BoneSoupError) {
    for (index, failure) in failures.enumerated() {
      if let failure { statuses?[index] = failure.status }
    }
    if let failure = failures.compactMap({ $0 }).first { throw failure }
  }
}

/// The sessions of one decode, all acquired or none.
private final class HeldSessions {
  private(set) var sessions: [Session] = []
  private var known: Set<ObjectIdentifier> = []

  func add(_ handle: OpaquePointer?, _ call: Call) throws(BoneSoupError) {
    let session = try Handles.take(handle, Session.self)
    guard known.insert(ObjectIdentifier(session)).inserted else {
      throw .invalidArgument("a session is given twice; the sessions of a decode must be different ones")
    }
    try session.acquire(call.host)
    sessions.append(session)
    _ = try session.blend.weights()
  }

  func release() {
    for session in sessions { session.release() }
  }
}

@c @implementation
public func bsoup_session_logits(
  _ session: OpaquePointer!, _ position: Int64, _ logits: UnsafeMutablePointer<UnsafePointer<Float>?>!,
  _ count: UnsafeMutablePointer<Int>!
) -> bsoup_status {
  logits?.pointee = nil
  count?.pointee = 0
  return Call.run { (call) throws(BoneSoupError) in
    let target = try Arguments.required(logits, "logits")
    let size = try Arguments.required(count, "count")
    guard position >= -1 else {
      throw .invalidArgument("position is \(position); it must be a position, or -1 for the last computed one")
    }
    try Session.use(session, call) { (session) throws(BoneSoupError) in
      let found = try session.logits(after: position < 0 ? nil : Int(position))
      target.pointee = found.baseAddress
      size.pointee = found.count
    }
  }
}

@c @implementation
public func bsoup_session_begin(
  _ session: OpaquePointer!, _ options: UnsafePointer<bsoup_generate_options>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let request = try GenerateRequest(options)
    try Session.use(session, call) { (session) throws(BoneSoupError) in try session.begin(request.options) }
  }
}

@c @implementation
public func bsoup_session_next(_ session: OpaquePointer!, _ step: UnsafeMutablePointer<bsoup_step>!) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    // The struct is looked at before a token is spent.
    try Structs.check(step, "bsoup_step")
    try Session.use(session, call) { (session) throws(BoneSoupError) in
      let next = try session.next()
      var value = bsoup_step()
      value.token = next.token
      value.logprob = next.logProbability
      value.finish = next.finish.rawValue
      if let text = session.generation?.stepText {
        value.text = UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self)
        value.text_size = text.count
      }
      if let top = session.generation?.stepTop {
        value.top = UnsafeRawPointer(top.baseAddress)?.assumingMemoryBound(to: bsoup_logprob.self)
        value.top_count = UInt32(clamping: top.count)
      }
      try Structs.write(value, to: step, "bsoup_step")
    }
  }
}
