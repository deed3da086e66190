import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

/// Blends that are not the plain sum: folded, λ as weights, never divided by their sum.
@Suite struct BlendMethodTests {
  let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  private static let seed: UInt64 = 42
  private static let lambda = [1.75, -0.75]

  /// The soup methods with parameters that make them do something.
  private static let methods: [(name: String, settings: [ParameterSetting])] = [
    ("task_arithmetic", []), ("ties", [ParameterSetting("density", values: [0.3])]),
    ("dare_linear", [ParameterSetting("density", values: [0.5])]),
    ("dare_ties", [ParameterSetting("density", model: 1, values: [0.5])]),
    ("della", [ParameterSetting("density", values: [0.5])]),
    ("della_linear", [ParameterSetting("density", values: [0.4])]),
    ("breadcrumbs", [ParameterSetting("density", values: [0.5]), ParameterSetting("gamma", values: [0.05])]),
    ("breadcrumbs_ties", [ParameterSetting("density", filter: "mlp", values: [0.5])]), ("iso_c", []), ("tsv", []),
    ("knots", [ParameterSetting("density", values: [0.2, 0.8])]),
  ]

  private func blend(_ soup: Soup, _ index: Int, _ coefficients: [Double]) throws -> Blend {
    var request = BlendRequest()
    request.point = .coefficients(coefficients)
    let method = Self.methods[index]
    request.method = .some(try BlendMethod.make(method.name, settings: method.settings, seed: Self.seed))
    return try Blend(soup, request, token: nil, progress: nil)
  }

  /// The same by files: λ as weights, `normalize` off.
  private func files(_ index: Int, base: String, backbones: [String]) throws -> FloatTensors {
    let method = Self.methods[index]
    var recipe = MergeRecipe(method: method.name, base: base, models: backbones)
    recipe.settings = method.settings + [ParameterSetting("normalize", values: [0])]
    for (model, weight) in Self.lambda.enumerated() {
      recipe.settings.append(ParameterSetting("weight", model: model, values: [weight]))
    }
    recipe.type = .f32
    recipe.seed = Self.seed
    let target = temporary.path + "/files"
    try FileMerge(recipe, engine: MergeFixture.engine()).run(to: target, isSynced: false)
    return try FloatTensors(target + "/model.safetensors")
  }

  @Test func everySoupMethodIsHere() {
    let all = MergeMethods.declarations.filter(\.isForSoups).map(\.name).filter { $0 != "linear" }
    #expect(Set(all) == Set(Self.methods.map(\.name)))
  }

  @Test(arguments: methods.indices)
  func blendOfFullBackbonesHasTheBitsOfMergedFiles(index: Int) throws {
    let folder = Fixtures.soup("llama3-full")
    let soup = try openSoup(folder, engine: MergeFixture.engine(threads: 3))
    let blend = try blend(soup, index, Self.lambda)
    #expect(blend.plan.kind == .folded && blend.plan.workByteCount > 0)
    let merged = try files(
      index, base: Fixtures.model("llama3"), backbones: (0..<2).map { folder + "/backbones/\($0)" })
    let layer = try blend.weights().layers[1]
    #expect(sameBits(layer.down.weight.floats, try merged["model.layers.1.mlp.down_proj.weight"]))
    #expect(sameBits(layer.query.weight.floats, try merged["model.layers.1.self_attn.q_proj.weight"]))
  }

  @Test(arguments: methods.indices)
  func blendOfAdaptersHasTheBitsOfMergedFiles(index: Int) throws {
    let adapters = ["plain", "attention"].map { Fixtures.adapter("llama3", $0) }
    var soup = try openSoup(Fixtures.model("llama3"))
    for adapter in adapters { soup = try soup.adding(path: adapter) }
    let blend = try blend(soup, index, Self.lambda)
    let merged = try files(index, base: Fixtures.model("llama3"), backbones: adapters)
    let layer = try blend.weights().layers[1]
    #expect(sameBits(layer.query.weight.floats, try merged["model.layers.1.self_attn.q_proj.weight"]))
  }

  @Test(arguments: methods.indices)
  func noCoefficientGivesTheBase(index: Int) throws {
    let soup = try openSoup(Fixtures.soup("llama3-full"))
    let blend = try blend(soup, index, [0, 0])
    let base = try FloatTensors(Fixtures.model("llama3") + "/model.safetensors")
    let name = "model.layers.1.mlp.down_proj.weight"
    #expect(sameBits(try blend.weights().layers[1].down.weight.floats, try base[name]))
  }

  @Test func methodOfTheSoupIsTakenUnlessABlendSaysOtherwise() throws {
    let soup = try openSoup(Fixtures.soup("llama3-full"))
    let ties = try soup.with(method: BlendMethod.make("ties", settings: Self.methods[1].settings))
    let (linear, trimmed) = (try soup.blend(Self.lambda), try ties.blend(Self.lambda))
    #expect(linear.fingerprint != trimmed.fingerprint)
    #expect(
      !sameBits(
        try linear.weights().layers[1].down.weight.floats, try trimmed.weights().layers[1].down.weight.floats))
    var request = BlendRequest()
    request.point = .coefficients(Self.lambda)
    request.method = .some(nil)
    let plain = try Blend(ties, request, token: nil, progress: nil)
    #expect(plain.fingerprint == linear.fingerprint)
    // A method stays through building.
    #expect(try ties.adding(path: Fixtures.adapter("llama3", "plain")).method == ties.method)
  }

  @Test func fingerprintsTellMethodsParametersAndSeedsApart() throws {
    let soup = try openSoup(Fixtures.model("llama3")).adding(path: Fixtures.adapter("llama3", "plain"))
    var seen: Set<String> = []
    for (name, density, seed) in [("ties", 0.5, 0), ("ties", 0.25, 0), ("dare_ties", 0.5, 0), ("dare_ties", 0.5, 1)] {
      var request = BlendRequest()
      request.point = .coefficients([0.5])
      request.method = .some(
        try BlendMethod.make(name, settings: [ParameterSetting("density", values: [density])], seed: UInt64(seed)))
      let blend = try Blend(soup, request, token: nil, progress: nil)
      #expect(blend.plan.kind == .folded)
      #expect(seen.insert(blend.fingerprint.description).inserted)
    }
  }

  @Test func whatCannotBeIsRefused() throws {
    let soup = try openSoup(Fixtures.model("llama3")).adding(path: Fixtures.adapter("llama3", "plain"))
    var request = BlendRequest()
    request.point = .coefficients([0.5])
    request.method = .some(try BlendMethod.make("ties"))
    request.kind = .live
    #expect(failure { try soup.plan(request) }.hasPrefix("unsupported: a live blend is the plain sum"))
    request.kind = .automatic
    request.method = .some(
      try BlendMethod.make("ties", settings: [ParameterSetting("density", model: 1, values: [0.5])]))
    #expect(failure { try soup.plan(request) }.hasPrefix("mismatch: density is set for backbone 1"))
    request.method = .some(try BlendMethod.make("ties"))
    #expect(failure { try BlendMethod.make("model_stock") }.hasPrefix("unsupported: model_stock is for files"))
  }
}
