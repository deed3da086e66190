import Platform

/// Makes valid UTF-8 of any bytes, in pieces: an invalid sequence becomes U+FFFD, one for each maximal part that could
/// have begun a character (Unicode 15, §3.9, "substitution of maximal subparts"; Python's `decode("utf-8", "replace")`
/// and the WHATWG decoder do the same).
struct UTF8Repair: Sendable {
  /// The beginning of a character whose rest has not come yet.
  private var begun: (UInt8, UInt8, UInt8) = (0, 0, 0)
  private var begunCount = 0
  private var missing = 0
  /// What the next byte of the character may be.
  private var lower: UInt8 = 0x80
  private var upper: UInt8 = 0xBF

  /// At most this many bytes come of `count` bytes and what was begun before; nil where that overflows.
  func bound(_ count: Int) -> Int? {
    let (bound, overflow) = count.multipliedReportingOverflow(by: 3)
    return overflow || bound > Int.max - 9 ? nil : bound + 9
  }

  /// Appends what is certain after these bytes to `text`.
  mutating func append(_ bytes: UnsafeRawBufferPointer, to text: inout Vector<UInt8>) throws(BoneSoupError) {
    for byte in bytes {
      if missing > 0 {
        if byte >= lower && byte <= upper {
          try proceed(byte, &text)
          continue
        }
        try replace(&text)
      }
      try begin(byte, &text)
    }
  }

  /// Ends the text: a character that was begun is invalid.
  mutating func finish(to text: inout Vector<UInt8>) throws(BoneSoupError) {
    if missing > 0 { try replace(&text) }
  }

  private mutating func begin(_ byte: UInt8, _ text: inout Vector<UInt8>) throws(BoneSoupError) {
    switch byte {
    case 0x00...0x7F: return try text.append(byte)
    case 0xC2...0xDF: missing = 1
    case 0xE0...0xEF: missing = 2
    case 0xF0...0xF4: missing = 3
    default: return try replace(&text)
    }
    begun.0 = byte
    begunCount = 1
    // No overlong forms, no surrogates, nothing above U+10FFFF (Unicode's table 3-7).
    lower = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80
    upper = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF
  }

  private mutating func proceed(_ byte: UInt8, _ text: inout Vector<UInt8>) throws(BoneSoupError) {
    missing -= 1
    lower = 0x80
    upper = 0xBF
    if missing > 0 {
      if begunCount == 1 { begun.1 = byte } else { begun.2 = byte }
      begunCount += 1
      return
    }
    try text.append(begun.0)
    if begunCount > 1 { try text.append(begun.1) }
    if begunCount > 2 { try text.append(begun.2) }
    try text.append(byte)
    begunCount = 0
  }

  private mutating func replace(_ text: inout Vector<UInt8>) throws(BoneSoupError) {
    missing = 0
    begunCount = 0
    try text.append(0xEF)
    try text.append(0xBF)
    try text.append(0xBD)
  }
}
