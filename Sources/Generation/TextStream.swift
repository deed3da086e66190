import Platform

/// Turns the bytes that tokens decode to into text that can be shown: whole characters, and nothing that may still
/// become a stop string.
///
/// What comes out is the same however the bytes were cut. A copy goes its own way; it holds 260 bytes of text at most.
public struct TextStream: Sendable {
  private var repair = UTF8Repair()
  private var matcher: StopMatcher
  /// The end of the text, which a stop string begins with.
  private var held: [UInt8] = []
  private var ended = false

  /// The index of the stop string that ended the text.
  public private(set) var stop: Int?

  public init(stops: StopMatcher) { matcher = stops }

  /// Takes the next bytes and appends to `text` what has become certain. After a stop string, or `finish`, nothing more
  /// comes out. After an error nothing has changed.
  public mutating func append(_ bytes: UnsafeRawBufferPointer, to text: inout Vector<UInt8>) throws(BoneSoupError) {
    try advance(bytes, &text, isLast: false)
  }

  /// Ends the text: what was held back comes out, an unfinished character as U+FFFD.
  public mutating func finish(to text: inout Vector<UInt8>) throws(BoneSoupError) {
    try advance(UnsafeRawBufferPointer(start: nil, count: 0), &text, isLast: true)
  }

  private mutating func advance(
    _ bytes: UnsafeRawBufferPointer, _ text: inout Vector<UInt8>, isLast: Bool
  ) throws(BoneSoupError) {
    guard !ended else { return }
    guard let bound = repair.bound(bytes.count), bound < Int.max - text.count - held.count else {
      throw .outOfMemory("a text of \(bytes.count) more bytes is too long")
    }
    // From here on no append can fail.
    try text.reserve(text.count + held.count + bound)
    for byte in held { try text.append(byte) }
    held.removeAll(keepingCapacity: true)
    var position = text.count
    try repair.append(bytes, to: &text)
    if isLast { try repair.finish(to: &text) }
    while position < text.count {
      if let found = matcher.advance(text[position]) {
        text.truncate(to: position + 1 - found.length)
        stop = found.index
        ended = true
        return
      }
      position += 1
    }
    ended = isLast
    let certain = text.count - (isLast ? 0 : matcher.pendingBytes)
    held.append(contentsOf: text.span[certain...])
    text.truncate(to: certain)
  }
}
