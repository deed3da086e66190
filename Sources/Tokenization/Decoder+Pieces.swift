import Platform

extension Decoder {
  /// Appends what a piece contributes to the text.
  /// - Returns: whether it is a byte of `byteFallback`.
  func append(
    _ piece: UTF8Bytes, isFirst: Bool, to output: inout Vector<UInt8>, _ work: inout Work
  ) throws(BoneSoupError) -> Bool {
    guard !steps.isEmpty else { return try appendBytes(of: piece, to: &output) }
    work.text.removeAll()
    try work.text.append(contentsOf: piece)
    for step in steps {
      work.next.removeAll()
      switch step {
      case .replace(let pattern, let replacement):
        try replace(pattern, by: replacement, in: work.text.span, to: &work.next, monitor: .none)
      case .strip(let character, let start, let stop):
        try work.next.append(contentsOf: strip(work.text.span, character, start: start, stop: stop))
      case .metaspace(let character, let dropsInFirst):
        let space: [UInt8] = isFirst && dropsInFirst ? [] : [0x20]
        try replace(character, by: space, in: work.text.span, to: &work.next, monitor: .none)
      }
      swap(&work.text, &work.next)
    }
    return try appendBytes(of: work.text.span, to: &output)
  }

  /// Memory for `append`.
  struct Work: ~Copyable {
    fileprivate var text: Vector<UInt8>
    fileprivate var next: Vector<UInt8>

    init(allocator: Allocator) throws(BoneSoupError) {
      let text = try Vector<UInt8>(allocator: allocator, purpose: "the text of a piece")
      next = try Vector(allocator: allocator, purpose: "the text of a piece")
      self.text = text
    }
  }

  private func strip(_ text: UTF8Bytes, _ character: [UInt8], start: Int, stop: Int) -> UTF8Bytes {
    var rest = text
    for _ in 0..<start where rest.starts(with: character) {
      rest = UTF8Bytes(rebasing: rest.dropFirst(character.count))
    }
    for _ in 0..<stop where rest.suffix(character.count).elementsEqual(character) {
      rest = UTF8Bytes(rebasing: rest.dropLast(character.count))
    }
    return rest
  }

  private func appendBytes(of text: UTF8Bytes, to output: inout Vector<UInt8>) throws(BoneSoupError) -> Bool {
    switch form {
    case .text: break
    case .byteFallback:
      if let byte = fallbackByte(text) {
        try output.append(byte)
        return true
      }
    case .byteLevel:
      let start = output.count
      if try appendByteLevel(text, to: &output) { return false }
      output.truncate(to: start)
    }
    try output.append(contentsOf: text)
    return false
  }

  /// False, with some bytes appended, where a character stands for no byte.
  private func appendByteLevel(_ text: UTF8Bytes, to output: inout Vector<UInt8>) throws(BoneSoupError) -> Bool {
    var position = 0
    while position < text.count {
      let scalar = UTF8Scalar(in: text, at: position)
      guard let byte = ByteLevelAlphabet.byte(for: scalar.value) else { return false }
      try output.append(byte)
      position &+= scalar.length
    }
    return true
  }

  /// The byte of a piece like `<0x0A>`. As Rust's `from_str_radix`, takes either case, and a plus before one digit.
  private func fallbackByte(_ text: UTF8Bytes) -> UInt8? {
    guard text.count == 6, text[0] == 0x3C, text[1] == 0x30, text[2] == 0x78, text[5] == 0x3E,
      let low = digit(text[4])
    else { return nil }
    if text[3] == UInt8(ascii: "+") { return low }
    return digit(text[3]).map { $0 << 4 | low }
  }

  private func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
  }
}
