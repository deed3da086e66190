import Glibc
import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

@Suite struct BlendFingerprintTests {
  @Test func equalBlendsOfSoupsOpenedTwiceAreEqual() throws {
    for name in ["llama3-lora", "llama3-full"] {
      let soup = try openSoup(Fixtures.soup(name))
      let again = try openSoup(Fixtures.soup(name), engine: makeEngine(threads: 3))
      let lambda = soup.backbones.map { _ in 0.5 }
      #expect(try soup.blend(lambda).fingerprint == again.blend(lambda).fingerprint)
      #expect(try soup.blend(lambda, .folded).fingerprint == again.blend(lambda, .folded).fingerprint)
    }
  }

  @Test func whatChangesTheModelChangesTheFingerprint() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"))
    let blends = [
      try soup.blend([1, 0, 0]), try soup.blend([0, 1, 0]), try soup.blend([1, 0, 1e-12]), try soup.blend([0, 0, 0]),
      try soup.blend([1, 0, 0], .folded), try soup.blend([0, 0, 0], .folded),
      try soup.blend([1, 0, 0], .folded, format: .bf16), try soup.blend([1, 0, 0], .folded, format: .f16),
      try soup.blend([1, 0, 0], multipliers: [1, 0.5, 1, 1, 1, 1]),
      try soup.blend([1, 0, 0], multipliers: [0.5, 1, 1, 1, 1, 1]),
      try openSoup(Fixtures.soup("llama3-lora")) { $0.format = .bf16 }.blend([1, 0, 0]),
      try openSoup(Fixtures.model("llama3")).blend([]),
      try openSoup(Fixtures.model("llama3")).adding(path: Fixtures.adapter("llama3", "plain")).blend([1]),
      try openSoup(Fixtures.model("llama3")).adding(path: Fixtures.adapter("llama3", "patterns")).blend([1]),
      try openSoup(Fixtures.model("llama2")).blend([]),
    ]
    #expect(Set(blends.map(\.fingerprint)).count == blends.count)
  }

  @Test func whatChangesNothingChangesNothing() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"))
    let plain = try soup.blend([1, 0, 0]).fingerprint
    #expect(try soup.blend([1, -0.0, 0], multipliers: [1, 1, 1, 1, 1, 1]).fingerprint == plain)
    #expect(try soup.blend([1, 0, 0], .live, format: .f32).fingerprint == plain)
    // How λ was found does not matter.
    var request = BlendRequest()
    request.point = .preference([1, 0, 0])
    let solved = try Blend(soup, request, token: nil, progress: nil)
    #expect(try soup.blend(solved.resolution.coefficients).fingerprint == solved.fingerprint)
    request.kind = .folded
    request.isInBackground = true
    let background = try Blend(soup, request, token: nil, progress: nil)
    #expect(try soup.blend(solved.resolution.coefficients, .folded).fingerprint == background.fingerprint)
  }

  @Test func anotherConfigurationOverTheSameWeightsIsAnotherModel() throws {
    let folder = try TemporaryFolder()
    try folder.copyModel("llama3", to: "base")
    try folder.copyAdapter("llama3", "plain", to: "adapter")
    func fingerprint() throws -> Fingerprint {
      try openSoup(folder.path + "/base").adding(path: folder.path + "/adapter").blend([1]).fingerprint
    }
    let first = try fingerprint()
    #expect(try fingerprint() == first)
    try edit(folder, "adapter/adapter_config.json", "\"lora_alpha\": 8", with: "\"lora_alpha\": 9")
    let scaled = try fingerprint()
    #expect(scaled != first)
    try edit(folder, "base/config.json", "\"rope_theta\": 500.0", with: "\"rope_theta\": 600.0")
    #expect(try fingerprint() != scaled)
  }

  @Test func aChangedFileIsAnotherModel() throws {
    let folder = try TemporaryFolder()
    try folder.copyModel("llama3", to: "base")
    let first = try openSoup(folder.path + "/base").blend([]).fingerprint
    var bytes = try TemporaryFolder.read(folder.path + "/base/model.safetensors")
    bytes[bytes.count - 1] ^= 1
    try folder.copyModel("llama3", to: "copy")
    // The clock of files ticks every few milliseconds.
    usleep(20_000)
    try folder.write("base/model.safetensors", bytes)
    #expect(try openSoup(folder.path + "/base").blend([]).fingerprint != first)
    #expect(try openSoup(folder.path + "/copy").blend([]).fingerprint != first)
  }
}
