import Kernels
import Platform
import TestSupport
import Testing

@testable import Soups
@testable import Transformer

@Suite struct BlendTests {
  @Test(
    arguments: [
      ("llama3", "plain"), ("llama3", "patterns"), ("llama3", "attention"), ("qwen2", "plain"), ("qwen2", "patterns"),
      ("llama2", "embeddings"),
    ], [BlendRequest.Kind.folded, .live])
  func adaptersAgreeWithPEFT(_ names: (model: String, adapter: String), _ kind: BlendRequest.Kind) throws {
    let path = Fixtures.adapter(names.model, names.adapter)
    let soup = try openSoup(Fixtures.model(names.model)).adding(path: path)
    let file = try FloatTensors(path + "/expected.safetensors")
    let logits = try soup.blend([1], kind).logits(file.tokens("tokens"), last: 16)
    #expect(relativeDistance(logits, try file["logits"]) < 1e-4)
    #expect(relativeDistance(logits, try file["merged"]) < 1e-4)
  }

  @Test(arguments: ["llama3-full", "llama3-lora", "qwen2-lora", "llama2-embeddings"], [1, 3])
  func blendsOfTheSoupsAgreeWithWeightsMixedInDouble(_ name: String, _ threads: Int) throws {
    let soup = try openSoup(Fixtures.soup(name), engine: makeEngine(threads: threads))
    let file = try FloatTensors(Fixtures.soup(name) + "/expected.safetensors")
    let tokens = try file.tokens("tokens")
    let expected = try file["logits"]
    let count = soup.backbones.count
    let coefficients = try file["coefficients"]
    let size = 16 * soup.base.config.vocabularySize
    for number in 0..<coefficients.count / count {
      let lambda = coefficients[number * count..<(number + 1) * count].map(Double.init)
      let wanted = expected[number * size..<(number + 1) * size]
      let folded = try soup.blend(lambda, .folded).logits(tokens, last: 16)
      #expect(relativeDistance(folded, wanted) < 1e-4, "\(name) folded at \(lambda)")
      guard soup.isLowRank else { continue }
      let live = try soup.blend(lambda, .live).logits(tokens, last: 16)
      #expect(relativeDistance(live, wanted) < 1e-4, "\(name) live at \(lambda)")
      #expect(relativeDistance(live, folded) < 1e-5)
    }
  }

  @Test(arguments: ["llama3-lora", "qwen2-lora", "llama2-embeddings"])
  func noneOfAnyBackboneHasTheBasesBits(_ name: String) throws {
    let soup = try openSoup(Fixtures.soup(name))
    let tokens = try FloatTensors(Fixtures.soup(name) + "/expected.safetensors").tokens("tokens")
    let zero = soup.backbones.map { _ in 0.0 }
    let plain = try openSoup(soup.base.name).blend([]).logits(tokens, last: 64)
    #expect(sameBits(try soup.blend(zero, .live).logits(tokens, last: 64), plain))
    #expect(sameBits(try soup.blend(zero, .folded).logits(tokens, last: 64), plain))
    #expect(try soup.blend(zero, .folded).weights().allBytes == soup.base.weights.allBytes)
    // A live row of the base beside others: gains that are all 0 add nothing, not even 0.
    let minusZero = try soup.blend(zero.map { -$0 }, .live).logits(tokens, last: 64)
    #expect(sameBits(minusZero, plain))
  }

  @Test func oneHotCoefficientsOfFullBackbonesHaveTheirBits() throws {
    let soup = try openSoup(Fixtures.soup("llama3-full"))
    let tokens = try FloatTensors(Fixtures.model("llama3") + "/expected.safetensors").tokens("tokens")
    #expect(try soup.blend([0, 0]).weights().allBytes == soup.base.weights.allBytes)
    for number in 0..<2 {
      let alone = try openSoup(Fixtures.soup("llama3-full") + "/backbones/\(number)")
      let blend = try soup.blend([number == 0 ? 1 : 0, number == 1 ? 1 : 0])
      #expect(blend.plan.kind == .folded && blend.resolution.baseShare == 0)
      #expect(try blend.weights().allBytes == alone.base.weights.allBytes)
      #expect(sameBits(try blend.logits(tokens, last: 64), try alone.blend([]).logits(tokens, last: 64)))
    }
  }

  @Test func oneHotPreferencesOfAnIdentityMatrixDoTheSame() throws {
    let soup = try openSoup(Fixtures.soup("llama3-full"))
      .with(matrix: BackboneMatrix(rows: [[1, 0], [0, 1]]))
    var request = BlendRequest()
    request.point = .named([("happy", 1)])
    let blend = try Blend(soup, request, token: nil, progress: nil)
    #expect(blend.resolution.coefficients == [0, 1])
    let alone = try openSoup(Fixtures.soup("llama3-full") + "/backbones/1")
    #expect(try blend.weights().allBytes == alone.base.weights.allBytes)
  }

  @Test func aSoupOfFullAndLowRankBackbonesAddsBoth() throws {
    let folder = try TemporaryFolder()
    let full = Fixtures.soup("llama3-full") + "/backbones/0"
    let adapter = Fixtures.adapter("llama3", "plain")
    try folder.write(
      "mixed.json",
      #"{"bonesoup": 1, "base": "\#(Fixtures.model("llama3"))", "objectives": [{"name": "a"}, {"name": "b"}], "#
        + #""backbones": [{"path": "\#(full)"}, {"path": "\#(adapter)"}], "matrix": {"rule": "bone", "beta": 0.6}}"#)
    let soup = try openSoup(folder.path + "/mixed.json")
    #expect(soup.isFull == [true, false] && !soup.isLowRank)
    let tokens = try FloatTensors(Fixtures.model("llama3") + "/expected.safetensors").tokens("tokens")
    // All of both is the adapter on top of the tuned model.
    let both = try soup.blend([1, 1])
    #expect(both.plan.kind == .folded && both.resolution.baseShare == 0)
    let stacked = try openSoup(full).adding(path: adapter).blend([1], .live).logits(tokens, last: 16)
    #expect(relativeDistance(try both.logits(tokens, last: 16), stacked) < 1e-5)
    // c₀ is 1 − λ of the full one alone.
    #expect(try soup.blend([0.25, 3]).resolution.baseShare == 0.75)
    // Without the full one it is the adapter's soup, folded and live.
    let lone = try openSoup(Fixtures.model("llama3")).adding(path: adapter)
    #expect(try soup.blend([0, -0.5]).weights().allBytes == lone.blend([-0.5], .folded).weights().allBytes)
    let live = try soup.blend([0, -0.5], .live)
    #expect(sameBits(try live.logits(tokens, last: 16), try lone.blend([-0.5], .live).logits(tokens, last: 16)))
    #expect(
      failure { try soup.blend([0.5, 0.5], .live) }
        .contains("unsupported: backbone 0 (\(full)) is a full checkpoint with coefficient 0.5"))
  }

  @Test(arguments: [
    ("lm_head", [2, 32], [288, 2], false), ("model.embed_tokens", [2, 288], [32, 2], true),
  ])
  func anAdapterOnOneEndOfATiedModelChangesThatEndOnly(
    _ module: String, _ down: [Int], _ up: [Int], _ isEmbedding: Bool
  ) throws {
    let folder = try TemporaryFolder()
    try folder.writeAdapter("adapter", module: module, down: down, up: up, isEmbedding: isEmbedding, seed: 3)
    let allocator = Allocator(limit: nil, host: nil)
    let soup = try openSoup(Fixtures.model("llama3"), engine: makeEngine(allocator: allocator))
      .adding(path: folder.path + "/adapter")
    let tokens = try FloatTensors(Fixtures.model("llama3") + "/expected.safetensors").tokens("tokens")
    let before = allocator.bytesInUse
    let folded = try soup.blend([0.5], .folded)
    #expect(allocator.bytesInUse - before == folded.plan.byteCount)
    let live = try soup.blend([0.5], .live).logits(tokens, last: 64)
    #expect(relativeDistance(try folded.logits(tokens, last: 64), live) < 1e-5)
    #expect(relativeDistance(live, try soup.blend([0]).logits(tokens, last: 64)) > 1e-2)
    // E + ½·2·(U·D)ᵀ or H + ½·2·U·D, and the other end as it was.
    let weights = try folded.weights()
    #expect(!weights.head.isSame(as: weights.embedding))
    let (changed, kept) = isEmbedding ? (weights.embedding, weights.head) : (weights.head, weights.embedding)
    #expect(kept.bits == soup.base.weights.embedding.bits)
    let file = try FloatTensors(folder.path + "/adapter/adapter_model.safetensors")
    let left = try file[file.names[0]]
    let right = try file[file.names[1]]
    var expected = soup.base.weights.embedding.floats
    for token in 0..<288 {
      for column in 0..<32 {
        for rank in 0..<2 {
          expected[token * 32 + column] +=
            isEmbedding
            ? left[rank * 288 + token] * right[column * 2 + rank] : right[token * 2 + rank] * left[rank * 32 + column]
        }
      }
    }
    #expect(relativeDistance(changed.floats, expected) < 1e-6)
  }

  @Test func aTiedHeadStaysTiedWithoutSuchAnAdapter() throws {
    let weights = try openSoup(Fixtures.soup("llama3-lora")).blend([1, 1, 1], .folded).weights()
    #expect(weights.head.isSame(as: weights.embedding))
  }

  @Test func layerMultipliersScaleCoefficientsLayerByLayer() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"))
    let tokens = try FloatTensors(Fixtures.model("llama3") + "/expected.safetensors").tokens("tokens")
    func logits(_ lambda: [Double], _ multipliers: [Float]?) throws -> [Float] {
      try soup.blend(lambda, .live, multipliers: multipliers).logits(tokens, last: 64)
    }
    let plain = try logits([0.5, -0.5, 1], nil)
    #expect(sameBits(try logits([0.5, -0.5, 1], [1, 1, 1, 1, 1, 1]), plain))
    // Halves are exact: of λ or of every layer, the same bits.
    #expect(sameBits(try logits([1, -1, 2], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]), plain))
    #expect(sameBits(try logits([1, -0.5, 4], [0.5, 0.5, 1, 1, 0.25, 0.25]), plain))
    // The second adapter has nothing in the first layer.
    #expect(sameBits(try logits([0.5, -0.5, 1], [1, 1, 77, 1, 1, 1]), plain))
    #expect(!sameBits(try logits([0.5, -0.5, 1], [1, 1, 1, 0.9, 1, 1]), plain))
    // Layer 0 of one adapter alone is between nothing and all of it.
    #expect(sameBits(try logits([1, 0, 0], [0, 0, 1, 1, 1, 1]), try logits([0, 0, 0], nil)))
  }

  @Test func multipliersThatDoNotFitAreRefused() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"))
    #expect(
      failure { try soup.blend([1, 0, 0], .live, multipliers: [1, 1]) }
        == "mismatch: there are 2 layer multipliers for 3 backbones × 2 layers; 6 are needed")
    #expect(
      failure { try soup.blend([1, 0, 0], .live, multipliers: [1, 1, 1, .nan, 1, 1]) }
        == "invalidArgument: layer multiplier 3 is nan")
    #expect(
      failure { try soup.blend([1, 0, 0], .folded, multipliers: [1, 1, 1, 1, 1, 1]) }
        .contains("layer multipliers are for live blends"))
  }

  @Test func coefficientsThatDoNotFitAreRefused() throws {
    let soup = try openSoup(Fixtures.soup("llama3-lora"))
    #expect(failure { try soup.blend([1, 0]) }.hasPrefix("mismatch: there are 2 coefficients for 3 backbones"))
    for value in [Double.nan, .infinity, -.infinity, 1e39] {
      #expect(failure { try soup.blend([1, value, 0]) }.hasPrefix("invalidArgument: the coefficient of backbone 1 is"))
    }
    #expect(
      failure { try soup.blend([1, 0, 0], .live, format: .bf16) }.contains("a live blend computes in the soup's"))
    var request = BlendRequest()
    request.point = .preset("Bedtime")
    #expect(
      failure { try soup.plan(request) } == "notFound: there is no preset \"Bedtime\"; the soup has none")
  }

  @Test func kindsAreChosenByTheBackbones() throws {
    #expect(try openSoup(Fixtures.soup("llama3-lora")).blend([1, 1, 1]).plan.kind == .live)
    #expect(try openSoup(Fixtures.soup("llama3-full")).blend([1, 0]).plan.kind == .folded)
    let plain = try openSoup(Fixtures.model("llama2"))
    let blend = try Blend(plain, BlendRequest(), token: nil, progress: nil)
    #expect(blend.plan.kind == .live && blend.resolution.coefficients.isEmpty && blend.progress == 1)
    let folded = try plain.blend([], .folded)
    #expect(try folded.weights().allBytes == plain.base.weights.allBytes)
  }

  @Test func sixteenBitSoupsErrByTheRoundingOfTheirWeights() throws {
    for type in [ElementType.f16, .bf16] {
      let soup = try openSoup(Fixtures.soup("llama3-lora")) { $0.format = WeightFormat(type) }
      let file = try FloatTensors(Fixtures.soup("llama3-lora") + "/expected.safetensors")
      let tokens = try file.tokens("tokens")
      let wanted = try file["logits"][(32 * 288)...]
      let third = Double(Float(1) / 3)
      // Of these random weights, rounding to bf16 alone costs 1.8e-2, and transformers in bf16 throughout errs by 3.7e-2.
      let bound = type == .f16 ? 5e-3 : 3e-2
      for kind in [BlendRequest.Kind.live, .folded] {
        let blend = try soup.blend([third, third, third], kind)
        #expect(blend.plan.format == WeightFormat(type) && soup.base.format == WeightFormat(type))
        #expect(
          relativeDistance(try blend.logits(tokens, last: 16, kv: CacheFormat(for: WeightFormat(type))), wanted)
            < bound,
          "\(type) \(kind)")
      }
    }
  }

  @Test func theFirstLiveBlendStacksTheAdaptersOfASoupBuiltStepByStep() throws {
    let allocator = Allocator(limit: nil, host: nil)
    var soup = try openSoup(Fixtures.model("llama3"), engine: makeEngine(allocator: allocator))
    for name in ["plain", "patterns", "attention"] {
      soup = try soup.adding(path: Fixtures.adapter("llama3", name))
    }
    let built = allocator.bytesInUse
    let expected = try #require(soup.adapters).byteCount
    // Folds and the base need no stack.
    do {
      _ = try soup.blend([1, 0, 0], .folded)
      _ = try soup.blend([0, 0, 0], .live)
    }
    #expect(allocator.bytesInUse == built)
    let token = try CancelToken.make()
    defer { token.release() }
    token.cancel()
    var request = BlendRequest()
    request.point = .coefficients([1, 0, 0])
    #expect(failure { try Blend(soup, request, token: token, progress: nil) }.hasPrefix("cancelled"))
    #expect(allocator.bytesInUse == built)
    let blend = try soup.blend([1, 0, 0], .live)
    #expect(blend.adapters?.byteCount == expected && soup.adapters?.byteCount == expected)
    #expect(allocator.bytesInUse == built + expected)
    #expect(try soup.blend([0, 1, 0], .live).adapters === blend.adapters)
    // An objective changes nothing, another backbone does.
    #expect(try soup.adding(Objective(name: "brief")).blend([1, 0, 0], .live).adapters === blend.adapters)
    let more = try soup.adding(path: Fixtures.adapter("llama3", "plain"))
    #expect(try more.blend([1, 0, 0, 0], .live).adapters !== blend.adapters)
  }

  @Test func aStackWithoutMemoryIsTheBlendsFailureAndTriedAgain() throws {
    let limit = 4 << 20
    let allocator = Allocator(limit: limit, host: nil)
    let engine = makeEngine(allocator: allocator)
    let soup = try openSoup(Fixtures.model("llama3"), engine: engine).adding(path: Fixtures.adapter("llama3", "plain"))
    do {
      let filled = try Buffer(byteCount: limit - allocator.bytesInUse - 100, allocator: allocator, purpose: "all")
      #expect(failure { try soup.blend([1], .live) }.hasPrefix("outOfMemory"))
      withExtendedLifetime(filled) {}
    }
    #expect(try soup.blend([1], .live).adapters != nil)
  }
}
