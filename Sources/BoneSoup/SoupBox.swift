import Platform
import Soups

/// What a soup handle stands for: the soup as built so far, and the texts that its host was shown.
final class SoupBox: @unchecked Sendable {
  private let lock = Lock()
  private var current: Soup
  /// Every text that the host was shown, until the soup is freed.
  private var texts: [String: KeptText] = [:]
  private var endTokenBuffer: Buffer?

  init(_ soup: Soup) { current = soup }

  var soup: Soup { lock.withLock { current } }

  /// One building step, whole: two at once go one after the other. Long work is done before it, or after it by who needs it.
  func build<Result>(_ change: (Soup) throws(BoneSoupError) -> (Soup, Result)) throws(BoneSoupError) -> Result {
    try lock.withLock { () throws(BoneSoupError) in
      let (next, result) = try change(current)
      current = next
      return result
    }
  }

  /// A C string that lives until the soup is freed; the same text gives the same pointer.
  func pointer(_ text: String) -> UnsafePointer<CChar> {
    lock.withLock {
      if let kept = texts[text] { return kept.pointer }
      let kept = KeptText(text)
      texts[text] = kept
      return kept.pointer
    }
  }

  /// The end tokens in memory that lives until the soup is freed.
  func endTokens() throws(BoneSoupError) -> UnsafeBufferPointer<Int32> {
    try lock.withLock { () throws(BoneSoupError) in
      let tokens = current.base.config.endTokens
      if let known = endTokenBuffer {
        return UnsafeBufferPointer(start: known.elements(Int32.self), count: tokens.count)
      }
      let buffer = try Buffer(
        of: Int32.self, count: tokens.count, allocator: current.engine.allocator, purpose: "the end tokens")
      for (index, token) in tokens.enumerated() { buffer.elements(Int32.self)[index] = token }
      endTokenBuffer = buffer
      return UnsafeBufferPointer(start: buffer.elements(Int32.self), count: tokens.count)
    }
  }

}
