import Glibc
import Kernels
import Platform
import Synchronization
import TestSupport
import Testing
import Transformer

@testable import Soups

private final class Counter: Sendable {
  let value = Atomic<Int>(0)
  func add() { value.wrappingAdd(1, ordering: .relaxed) }
  var count: Int { value.load(ordering: .relaxed) }
}

/// Round to nearest even, to the upper 16 bits.
private func bf16(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
}

private func words(_ bytes: [UInt8]) -> [UInt16] {
  stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
}

@Suite struct FoldTests {
  private func sources() throws -> [[Float]] {
    let name = "model.layers.1.mlp.down_proj.weight"
    let paths =
      [Fixtures.model("llama3")] + (0..<2).map { Fixtures.soup("llama3-full") + "/backbones/\($0)" }
    return try paths.map { try FloatTensors($0 + "/model.safetensors")[name] }
  }

  @Test(arguments: [[0.25, 0.5], [-0.75, 1.75], [2, -3.5], [1e-3, 0]])
  func mixesAreSummedInOrderAndRoundedOnce(_ lambda: [Double]) throws {
    let soup = try openSoup(Fixtures.soup("llama3-full"))
    let sources = try sources()
    let shares = [1 - lambda[0] - lambda[1]] + lambda
    // The contract: f32, base first, the first term initialises, absent terms are not read.
    let exact = sources[0].indices.map { index in (0..<3).reduce(0.0) { $0 + shares[$1] * Double(sources[$1][index]) } }
    let summed = sources[0].indices.map { index in
      var sum: Float?
      for term in 0..<3 where shares[term] != 0 {
        let share = Float(shares[term])
        sum = sum?.addingProduct(share, sources[term][index]) ?? share * sources[term][index]
      }
      return sum ?? 0
    }
    let f32 = try soup.blend(lambda).weights().layers[1].down.weight
    #expect(f32.format == .f32 && sameBits(f32.floats, summed))
    for (value, exact) in zip(f32.floats, exact) {
      #expect((Double(value) - exact).magnitude < 1e-6 * (1 + exact.magnitude))
    }
    let half = try soup.blend(lambda, format: .bf16).weights().layers[1].down.weight
    #expect(half.format == .bf16 && half.floats.map { UInt16($0.bitPattern >> 16) } == summed.map(bf16))
    let other = try soup.blend(lambda, format: .f16).weights().layers[1].down.weight
    #expect(other.floats.map { Float16($0).bitPattern } == summed.map { Float16($0).bitPattern })
    for (value, exact) in zip(half.floats.map { UInt16($0.bitPattern >> 16) }, exact) {
      // Half a unit of 8 bits from the sum in double.
      let read = Double(Float(bitPattern: UInt32(value) << 16))
      #expect((read - exact).magnitude <= exact.magnitude.ulp * 0x1p44 * 1.001 + 1e-7)
    }
  }

  @Test(arguments: ["llama3-full", "llama3-lora", "llama2-embeddings"])
  func anyNumberOfThreadsFoldsTheSameBits(_ name: String) throws {
    func fold(_ threads: Int, background: Bool) throws -> [UInt8] {
      let soup = try openSoup(Fixtures.soup(name), engine: makeEngine(threads: threads))
      var request = BlendRequest()
      request.point = .coefficients(soup.backbones.indices.map { 0.7 - 0.9 * Double($0) })
      request.kind = .folded
      request.isInBackground = background
      return try Blend(soup, request, token: nil, progress: nil).weights(within: nil).allBytes
    }
    let alone = try fold(1, background: false)
    for threads in [1, 2, 4] {
      #expect(try fold(threads, background: false) == alone)
      #expect(try fold(threads, background: true) == alone)
    }
  }

  @Test func termsWithCoefficientZeroAreNotRead() throws {
    let folder = try TemporaryFolder()
    try folder.copyModel("llama3", to: "tuned")
    var bytes = try TemporaryFolder.read(folder.path + "/tuned/model.safetensors")
    let length = bytes.count
    bytes.replaceSubrange((length - 4)..<length, with: SafetensorsBuilder.bytes(Float.nan))
    try folder.write("tuned/model.safetensors", bytes)
    let soup = try openSoup(Fixtures.model("llama3")).adding(path: folder.path + "/tuned")
      .adding(path: Fixtures.soup("llama3-full") + "/backbones/1")
    #expect(
      try soup.blend([0, 0.5]).weights().allBytes
        == openSoup(Fixtures.model("llama3"))
        .adding(path: Fixtures.soup("llama3-full") + "/backbones/1").blend([0.5]).weights().allBytes)
  }

  @Test func aFoldReportsItsProgressAndCanBeCancelled() throws {
    let soup = try openSoup(Fixtures.soup("llama3-full"))
    var request = BlendRequest()
    request.point = .coefficients([0.5, 0.5])
    var shares: [Double] = []
    let blend = try Blend(soup, request, token: nil) {
      shares.append($0)
      return true
    }
    #expect(blend.progress == 1 && shares.last == 1 && shares == shares.sorted() && shares.count > 10)
    #expect(failure { try Blend(soup, request, token: nil) { $0 < 0.5 } }.hasPrefix("cancelled"))
    let token = try CancelToken.make()
    defer { token.release() }
    #expect(
      failure {
        try Blend(soup, request, token: token) {
          if $0 > 0.3 { token.cancel() }
          return true
        }
      }.hasPrefix("cancelled"))
  }

  @Test func aFoldInTheBackgroundIsNotReadyUntilItIs() throws {
    let soup = try openSoup(Fixtures.soup("llama3-full"), engine: makeEngine(threads: 2))
    var request = BlendRequest()
    request.point = .coefficients([0.5, 0.5])
    request.isInBackground = true
    let gate = Gate()
    let blend = try Blend(soup, request, token: nil) { _ in
      gate.wait()
      return true
    }
    #expect(failure { try blend.weights() }.contains("notReady: the blend is being folded"))
    #expect(failure { try blend.weights(within: 5) }.hasPrefix("notReady"))
    gate.open()
    let weights = try blend.weights(within: nil)
    #expect(try blend.weights() === weights)
    #expect(blend.progress == 1)
  }

  @Test func aCancelledFoldInTheBackgroundSaysSo() throws {
    let soup = try openSoup(Fixtures.soup("llama3-full"))
    var request = BlendRequest()
    request.point = .coefficients([0.5, 0.5])
    request.isInBackground = true
    let token = try CancelToken.make()
    defer { token.release() }
    let blend = try Blend(soup, request, token: token) { _ in
      token.cancel()
      return true
    }
    #expect(failure { try blend.weights(within: nil) }.hasPrefix("cancelled"))
    #expect(failure { try blend.weights() }.hasPrefix("cancelled"))
  }

  @Test func aFoldThatNobodyWantsAnyMoreEndsAndGivesItsMemoryBack() throws {
    let allocator = Allocator(limit: nil, host: nil)
    let counter = Counter()
    do {
      let soup = try openSoup(Fixtures.soup("llama3-full"), engine: makeEngine(threads: 2, allocator: allocator))
      var request = BlendRequest()
      request.point = .coefficients([0.5, 0.5])
      request.isInBackground = true
      let before = allocator.bytesInUse
      var blend: Blend? = try Blend(soup, request, token: nil) { _ in
        counter.add()
        usleep(20_000)
        return true
      }
      #expect(blend?.plan.kind == .folded)
      blend = nil
      #expect(allocator.bytesInUse == before)
    }
    #expect(counter.count <= 2)
    #expect(allocator.bytesInUse == 0)
  }

  @Test(arguments: WeightFormat.allCases)
  func theMemoryThatAPlanTellsIsEnough(_ format: WeightFormat) throws {
    for coefficients in [[0.5, 0.5], [0.75, 0.5]] {
      let measuring = Allocator(limit: nil, host: nil)
      let soup = try openSoup(Fixtures.soup("llama3-full"), engine: makeEngine(allocator: measuring))
      let before = measuring.bytesInUse
      let plan = try soup.blend(coefficients, .folded, format: format).plan
      let tight = Allocator(limit: before + plan.byteCount + plan.workByteCount, host: nil)
      let other = try openSoup(Fixtures.soup("llama3-full"), engine: makeEngine(allocator: tight))
      #expect(try other.blend(coefficients, .folded, format: format).plan.byteCount == plan.byteCount)
    }
  }

  @Test func aFoldThatGetsNoMemoryIsAnErrorAndLeavesNothing() throws {
    let measuring = Allocator(limit: nil, host: nil)
    let needed = try openSoup(Fixtures.soup("llama3-full"), engine: makeEngine(allocator: measuring))
    let before = measuring.bytesInUse
    let plan = try needed.blend([0.5, 0.5]).plan
    for share in 0..<8 {
      let tight = Allocator(limit: before + plan.byteCount * share / 8, host: nil)
      do {
        let soup = try openSoup(Fixtures.soup("llama3-full"), engine: makeEngine(allocator: tight))
        let text = failure { try soup.blend([0.5, 0.5]) }
        #expect(text.hasPrefix("outOfMemory: the folded ") || text.hasPrefix("outOfMemory: the sums of "), "\(text)")
        #expect(tight.bytesInUse == before)
      } catch {
        // Opening takes a little more for a moment.
        #expect("\(error)".hasPrefix("outOfMemory"))
      }
      #expect(tight.bytesInUse == 0)
    }
  }
}

/// Lets threads pass once it is open.
private final class Gate: Sendable {
  private let isOpen = Atomic<Bool>(false)
  func open() { isOpen.store(true, ordering: .releasing) }
  func wait() { while !isOpen.load(ordering: .acquiring) { usleep(1000) } }
}
