import JSON
import Platform
import TestSupport
import Testing

@Suite struct HostileInputTests {
  @Test func mutatedDocumentsNeverCrash() throws {
    var random = SplitMix(seed: 7)
    let sample = Array(GrammarTests.sample.utf8)
    let alphabet = Array("{}[]:,\"\\u0123456789eE+-.tfn \u{0}\u{7f}é".utf8) + [0x80, 0xFF, 0xED, 0xF4]
    var accepted = 0
    for _ in 0..<20_000 {
      var bytes = sample
      for _ in 0...random.below(3) {
        let place = random.below(bytes.count)
        switch random.below(4) {
        case 0: bytes[place] ^= 1 << UInt8(random.below(8))
        case 1: bytes[place] = alphabet[random.below(alphabet.count)]
        case 2: bytes.remove(at: place)
        default: bytes.insert(alphabet[random.below(alphabet.count)], at: place)
        }
      }
      guard let document = try? parse(bytes) else { continue }
      accepted += 1
      try readEverything(document.root)
    }
    #expect(accepted > 0)
  }

  @Test func randomBytesNeverCrash() throws {
    var random = SplitMix(seed: 8)
    let alphabet = Array("{}[]:,\"\\u09e-.tfn ".utf8)
    for round in 0..<20_000 {
      let bytes = (0..<random.below(60)).map { _ in
        round % 2 == 0 ? UInt8(random.below(256)) : alphabet[random.below(alphabet.count)]
      }
      guard let document = try? parse(bytes) else { continue }
      try readEverything(document.root)
    }
  }

  @Test func textThatChangesBehindTheDocumentIsReadWithinItsBounds() throws {
    var random = SplitMix(seed: 9)
    let sample = Array(GrammarTests.sample.utf8)
    for _ in 0..<2_000 {
      let buffer = try Buffer(byteCount: sample.count, allocator: .system, purpose: "the sample")
      let bytes = UnsafeMutableRawBufferPointer(start: buffer.pointer, count: sample.count)
      bytes.copyBytes(from: sample)
      let document = try JSONDocument(
        buffer.bytes, owner: buffer, file: "sample.json", maximumBytes: 1 << 20, allocator: .system)
      for index in bytes.indices { bytes[index] = random.below(3) == 0 ? 0x5C : UInt8(random.below(256)) }
      _ = try? readEverything(document.root)
    }
  }
}
