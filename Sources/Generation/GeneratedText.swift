import Glibc
import Platform

/// A finished generation: text, tokens and figures. Immutable once it is given out.
public final class GeneratedText: @unchecked Sendable {
  private var text: Vector<UInt8>
  private var tokens: Vector<Int32>
  private var logProbabilities: Vector<Float>
  private var top: Vector<TokenProbability>
  public let topCount: Int
  public internal(set) var finish = FinishReason.none
  public internal(set) var promptTokenCount = 0
  public internal(set) var prefilledTokenCount = 0
  public internal(set) var prefillSeconds = 0.0
  public internal(set) var decodeSeconds = 0.0
  public internal(set) var fingerprint = ""

  init(topCount: Int, allocator: Allocator) throws(BoneSoupError) {
    text = try Vector(capacity: 1024, allocator: allocator, purpose: "a generated text")
    tokens = try Vector(capacity: 256, allocator: allocator, purpose: "a generation's tokens")
    logProbabilities = try Vector(capacity: 256, allocator: allocator, purpose: "a generation's probabilities")
    top = try Vector(capacity: max(1, topCount), allocator: allocator, purpose: "a generation's alternatives")
    self.topCount = topCount
    try text.append(0)
    text.truncate(to: 0)
  }

  /// A NUL stands after it.
  public var textSpan: UnsafeBufferPointer<UInt8> { text.span }
  public var tokenSpan: UnsafeBufferPointer<Int32> { tokens.span }
  public var logProbabilitySpan: UnsafeBufferPointer<Float> { logProbabilities.span }
  /// `topCount` for each token.
  public var topSpan: UnsafeBufferPointer<TokenProbability> { top.span }

  func append(
    _ step: GenerationStep, top alternatives: UnsafeBufferPointer<TokenProbability>
  ) throws(BoneSoupError) {
    guard step.token >= 0 else { return }
    try tokens.append(step.token)
    try logProbabilities.append(step.logProbability)
    for index in 0..<topCount {
      // Fewer where fewer tokens have a probability: filled up with none.
      try top.append(
        index < alternatives.count ? alternatives[index] : TokenProbability(token: -1, logProbability: -.infinity))
    }
  }

  func append(text new: UnsafeBufferPointer<UInt8>) throws(BoneSoupError) {
    try text.reserve(text.count + new.count + 1)
    try text.append(contentsOf: new)
    text.elements[text.count] = 0
  }
}

/// Seconds of a clock that never goes back.
func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
