import Testing

@testable import Soups

@Suite struct FingerprintTests {
  private func make(_ domain: StaticString = "blend", _ fill: (inout FingerprintBuilder) -> Void) -> Fingerprint {
    var builder = FingerprintBuilder(domain: domain)
    fill(&builder)
    return builder.fingerprint
  }

  @Test func everyDifferenceOfAFieldCounts() {
    let fingerprints = [
      make { _ in },
      make("state") { _ in },
      make { $0.add("a", text: "") },
      make { $0.add("a", text: "bc") },
      make { $0.add("ab", text: "c") },
      make { $0.add("a", integers: []) },
      make { $0.add("a", integers: [0]) },
      make { $0.add("a", integers: [0, 0]) },
      make { $0.add("a", doubles: [0]) },
      make { $0.add("a", doubles: [1, 2]) },
      make { $0.add("a", doubles: [2, 1]) },
      make { $0.add("a", doubles: [1, 2.0.nextUp]) },
      make {
        $0.add("a", doubles: [1])
        $0.add("a", doubles: [2])
      },
      make {
        $0.add("a", integers: [1])
        $0.add("b", integers: [2])
      },
      make {
        $0.add("b", integers: [2])
        $0.add("a", integers: [1])
      },
      make { builder in builder.add("a", fingerprint: make { _ in }) },
    ]
    #expect(Set(fingerprints).count == fingerprints.count)
  }

  @Test func sameFieldsGiveTheSame() {
    #expect(make { $0.add("λ", doubles: [0.5, -0.0]) } == make { $0.add("λ", doubles: [0.5, 0]) })
    #expect(make { $0.add("a", text: "x") }.description == make { $0.add("a", text: "x") }.description)
  }

  @Test func bytesThereAndBack() {
    let fingerprint = make { $0.add("a", text: "x") }
    var bytes = [UInt8](repeating: 0, count: Fingerprint.byteCount)
    bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { fingerprint.write(to: start) } }
    #expect(bytes.withUnsafeBytes { Fingerprint(bytes: $0) } == fingerprint)
    #expect(bytes.dropLast().withUnsafeBytes { Fingerprint(bytes: $0) } == nil)
    let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(hex == fingerprint.description)
  }
}
