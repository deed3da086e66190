import TestSupport
import Testing

@testable import Soups

@Suite struct SHA256Tests {
  private func hex(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { SHA256.digest(of: $0).description } }

  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
  ]) func standardVectors(text: String, digest: String) { #expect(hex(Array(text.utf8)) == digest) }

  @Test func aMillionLettersInOddPieces() {
    let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
    let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    #expect(hex(bytes) == expected)
    var random = SplitMix(seed: 1)
    var hash = SHA256()
    bytes.withUnsafeBytes { bytes in
      var offset = 0
      while offset < bytes.count {
        let count = min(Int.random(in: 0...200, using: &random), bytes.count - offset)
        hash.update(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
        offset += count
      }
    }
    #expect(hash.digest.description == expected)
  }

  /// Digests of the bytes 0, 1, 2, … of every length around a block's end, hashed together; from Python's hashlib.
  @Test func everyLengthAroundABlocksEnd() {
    var all = SHA256()
    for count in 0..<200 {
      let bytes = (0..<count).map { UInt8($0) }
      bytes.withUnsafeBytes { bytes in
        var digest = [UInt8](repeating: 0, count: 32)
        digest.withUnsafeMutableBytes { if let start = $0.baseAddress { SHA256.digest(of: bytes).write(to: start) } }
        digest.withUnsafeBytes { all.update($0) }
      }
    }
    #expect(all.digest.description == "ba7b0fcea7d10c06b855b43d2b4dce1e3e842fff6be0acefb0faf4f2dd05bb47")
  }

  @Test func digestCanBeReadWhileFeedingGoesOn() {
    var hash = SHA256()
    Array("ab".utf8).withUnsafeBytes { hash.update($0) }
    _ = hash.digest
    Array("c".utf8).withUnsafeBytes { hash.update($0) }
    #expect(hash.digest.description == hex(Array("abc".utf8)))
  }

  @Test func hexadecimalThereAndBack() throws {
    let text = "00ff0a42" + String(repeating: "9c", count: 28)
    let digest = try #require(SHA256.Digest(hex: text.utf8))
    #expect(digest.description == text)
    #expect(SHA256.Digest(hex: text.uppercased().utf8) == digest)
    for bad in ["", String(text.dropLast()), text + "0", "g" + text.dropFirst()] {
      #expect(SHA256.Digest(hex: bad.utf8) == nil)
    }
  }
}
