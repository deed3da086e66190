import CBoneSoup
import Generation
import Platform
import Soups

// Chapter 8 of the header: generating.

private var samplingDefaults: bsoup_sampling_options {
  bsoup_sampling_options(
    struct_size: UInt32(MemoryLayout<bsoup_sampling_options>.size), temperature: 0, top_k: 0, top_p: 1, min_p: 0,
    repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0, penalty_window: -1, top_logprobs: 0, seed: 0,
    logit_bias: nil, logit_bias_count: 0, reserved: 0, hook: nil, hook_context: nil)
}

private var generateDefaults: bsoup_generate_options {
  bsoup_generate_options(
    struct_size: UInt32(MemoryLayout<bsoup_generate_options>.size), max_tokens: 256, sampling: nil, stop_strings: nil,
    stop_tokens: nil, stop_string_count: 0, stop_token_count: 0, ignore_end: 0,
    tokenize: UInt32(BSOUP_TOKENIZE_SPECIAL), context: 0, kv_format: UInt32(BSOUP_FORMAT_DEFAULT), on_text: nil,
    text_context: nil, cancel: nil, prefill_progress: nil, prefill_context: nil, response_only: 0,
    reserved: 0)
}

@c @implementation
public func bsoup_sampling_options_init(
  _ options: UnsafeMutablePointer<bsoup_sampling_options>!, _ struct_size: Int
) {
  Structs.initialize(options, struct_size, samplingDefaults)
}

@c @implementation
public func bsoup_generate_options_init(
  _ options: UnsafeMutablePointer<bsoup_generate_options>!, _ struct_size: Int
) {
  Structs.initialize(options, struct_size, generateDefaults)
}

/// BSOUP_TOKENIZE_*.
struct TokenizeFlags {
  let addsSpecial: Bool
  let parsesSpecial: Bool

  init(_ number: UInt32) throws(BoneSoupError) {
    let flags = try Arguments.flags(
      number, among: Int(BSOUP_TOKENIZE_SPECIAL) | Int(BSOUP_TOKENIZE_PARSE_SPECIAL), "tokenize")
    addsSpecial = flags & Int(BSOUP_TOKENIZE_SPECIAL) != 0
    parsesSpecial = flags & Int(BSOUP_TOKENIZE_PARSE_SPECIAL) != 0
  }
}

extension SamplingOptions {
  fileprivate init(_ raw: bsoup_sampling_options) throws(BoneSoupError) {
    self.init()
    try Structs.requireZero(raw.reserved, "bsoup_sampling_options")
    guard raw.logit_bias_count <= Self.maximumLogitBiases else {
      throw .invalidArgument("\(raw.logit_bias_count) logit biases; at most \(Self.maximumLogitBiases) are taken")
    }
    temperature = raw.temperature
    topK = Int(raw.top_k)
    topP = raw.top_p
    minP = raw.min_p
    repetitionPenalty = raw.repetition_penalty
    presencePenalty = raw.presence_penalty
    frequencyPenalty = raw.frequency_penalty
    penaltyWindow = Int(raw.penalty_window)
    topLogProbabilities = Int(raw.top_logprobs)
    seed = raw.seed
    logitBias = try Arguments.values(raw.logit_bias, Int(raw.logit_bias_count), "logit_bias").map {
      LogitBias(token: $0.token, bias: $0.bias)
    }
  }
}

/// The host's options for a generation.
struct GenerateRequest {
  let raw: bsoup_generate_options
  let options: GenerationOptions
  let flags: TokenizeFlags

  init(_ pointer: UnsafePointer<bsoup_generate_options>?) throws(BoneSoupError) {
    raw = try Structs.read(
      pointer, generateDefaults, "bsoup_generate_options", added: \bsoup_generate_options.response_only)
    try Structs.requireZero(raw.reserved, "bsoup_generate_options")
    let sampling = try Structs.read(raw.sampling, samplingDefaults, "bsoup_sampling_options")
    var options = GenerationOptions()
    options.maximumTokens = Int(raw.max_tokens)
    options.sampling = try SamplingOptions(sampling)
    options.ignoresEnd = try Arguments.flag(raw.ignore_end, "ignore_end")
    options.isResponseOnly = try Arguments.flag(raw.response_only, "response_only")
    guard raw.stop_string_count <= StopMatcher.maximumStrings else {
      throw .invalidArgument(
        "there are \(raw.stop_string_count) stop strings; at most \(StopMatcher.maximumStrings) are taken")
    }
    for string in try Arguments.values(raw.stop_strings, Int(raw.stop_string_count), "stop_strings") {
      options.stopStrings.append(
        Array(try Arguments.string(string, "a stop string", maximum: StopMatcher.maximumBytes).utf8))
    }
    guard raw.stop_token_count <= GenerationOptions.maximumStopTokens else {
      throw .invalidArgument(
        "there are \(raw.stop_token_count) stop tokens; at most \(GenerationOptions.maximumStopTokens) are taken")
    }
    options.stopTokens = Array(try Arguments.values(raw.stop_tokens, Int(raw.stop_token_count), "stop_tokens"))
    if let hook = sampling.hook { options.hook = Self.hook(hook, sampling.hook_context) }
    self.options = options
    flags = try TokenizeFlags(raw.tokenize)
  }

  private static func hook(
    _ callback: @escaping bsoup_logits_fn, _ context: UnsafeMutableRawPointer?
  ) -> GenerationOptions.Hook {
    { logits, tokens in
      callback(logits.baseAddress, logits.count, tokens.baseAddress, tokens.count, context) == 0
    }
  }

  /// Generates on a session that the caller has acquired.
  func generate(
    on session: Session, prompt: UnsafeRawBufferPointer, call: Call, into target: UnsafeMutablePointer<OpaquePointer?>?
  ) throws(BoneSoupError) {
    let monitor = try call.monitor(raw.cancel, raw.prefill_progress, raw.prefill_context)
    var input = Session.Prompt(prompt)
    input.addsSpecial = flags.addsSpecial
    input.parsesSpecial = flags.parsesSpecial
    let onText = raw.on_text.map { callback in
      { (text: UnsafeBufferPointer<UInt8>) in
        text.withMemoryRebound(to: CChar.self) { characters in
          call.host.asHost { callback(characters.baseAddress, characters.count, raw.text_context) } == 0
        }
      }
    }
    let (text, failure) = try session.generate(input, options, monitor: monitor, onText: onText)
    if let target { try Handles.give(text, to: target) }
    if let failure { throw failure }
  }
}

@c @implementation
public func bsoup_generate(
  _ blend: OpaquePointer!, _ prompt: UnsafePointer<CChar>!, _ prompt_size: Int,
  _ options: UnsafePointer<bsoup_generate_options>!, _ generation: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  generation?.pointee = nil
  return Call.run { (call) throws(BoneSoupError) in
    let blend = try Handles.take(blend, Blend.self)
    let prompt = try Arguments.text(prompt, prompt_size, "prompt")
    let request = try GenerateRequest(options)
    let made = blend.soup.base.config.contextLength
    // Few tokenizers give more than three tokens for a byte; a larger context costs a table only.
    let (bound, overflow) = prompt.count.multipliedReportingOverflow(by: 3)
    let need = overflow ? made : min(made, bound.addingReportingOverflow(16 + Int(request.raw.max_tokens)).partialValue)
    let session = try Session(
      blend, context: request.raw.context == 0 ? max(need, min(made, 1 << 15)) : Int(request.raw.context),
      type: try Arguments.cacheFormat(request.raw.kv_format))
    try session.acquire(call.host)
    try request.generate(on: session, prompt: prompt, call: call, into: generation)
  }
}

@c @implementation
public func bsoup_generation_free(_ generation: OpaquePointer!) { Handles.free(generation, GeneratedText.self) }

@c @implementation
public func bsoup_generation_get_info(
  _ generation: OpaquePointer!, _ info: UnsafeMutablePointer<bsoup_generation_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let text = try Handles.take(generation, GeneratedText.self)
    var value = bsoup_generation_info()
    value.finish = text.finish.rawValue
    value.text = UnsafeRawPointer(text.textSpan.baseAddress)?.assumingMemoryBound(to: CChar.self)
    value.text_size = text.textSpan.count
    value.tokens = text.tokenSpan.baseAddress
    value.logprobs = text.logProbabilitySpan.baseAddress
    if text.topCount > 0 {
      // The same two fields in the same order.
      value.top = UnsafeRawPointer(text.topSpan.baseAddress)?.assumingMemoryBound(to: bsoup_logprob.self)
    }
    value.token_count = UInt32(clamping: text.tokenSpan.count)
    value.top_count = UInt32(clamping: text.topCount)
    value.prompt_tokens = UInt32(clamping: text.promptTokenCount)
    value.prefilled_tokens = UInt32(clamping: text.prefilledTokenCount)
    value.prefill_seconds = text.prefillSeconds
    value.decode_seconds = text.decodeSeconds
    Structs.text72(text.fingerprint, into: &value.fingerprint)
    try Structs.write(value, to: info, "bsoup_generation_info")
  }
}
