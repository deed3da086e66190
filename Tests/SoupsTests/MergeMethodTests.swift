import Checkpoints
import Glibc
import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

@Suite struct MergeMethodTests {
  let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  private func merge(
    _ recipe: MergeRecipe, engine: Engine = MergeFixture.engine(), to name: String = "out"
  ) throws -> FloatTensors {
    let target = temporary.path + "/" + name
    try FileMerge(recipe, engine: engine).run(to: target, isSynced: false)
    return try FloatTensors(target + "/model.safetensors")
  }

  @Test func fixturesAreThere() {
    #expect(MergeFixture.cases.count > 30)
    let covered = Set(MergeFixture.cases.map(\.method))
    #expect(covered == Set(MergeMethods.declarations.map(\.name)))
  }

  @Test(arguments: MergeFixture.cases)
  func methodIsItsStatement(test: MergeFixture.Case) throws {
    let expected = try FloatTensors(MergeFixture.path + "/expected.safetensors")
    let merged = try merge(test.recipe)
    // Decompositions amplify what f32 rounds away; the others differ by the order of rounding only.
    let bound = ["iso_c", "tsv", "knots"].contains(test.method) ? 2e-4 : 1e-6
    #expect(merged.names.count == 6)
    for name in merged.names {
      let (values, wanted) = (try merged[name], try expected["\(test.name)/\(name)"])
      #expect(relativeDistance(values, wanted) < bound, "\(name)")
    }
  }

  @Test(arguments: MergeFixture.cases)
  func threadsDoNotChangeTheBits(test: MergeFixture.Case) throws {
    let one = try merge(test.recipe, engine: MergeFixture.engine(threads: 1), to: "one")
    let three = try merge(test.recipe, engine: MergeFixture.engine(threads: 3), to: "three")
    for name in one.names { #expect(sameBits(try one[name], try three[name]), "\(name)") }
  }

  @Test(arguments: MergeFixture.cases)
  func memoryIsWhatWasSaid(test: MergeFixture.Case) throws {
    let plan = try FileMerge(test.recipe, engine: MergeFixture.engine())
    let engine = MergeFixture.engine(limit: plan.peakByteCount)
    _ = try merge(test.recipe, engine: engine)
    #expect(engine.allocator.bytesInUse == 0)
    #expect(plan.outputByteCount > 0 && plan.tensorCount == 6)
  }

  @Test func anotherSeedMakesAnotherMask() throws {
    let test = try #require(MergeFixture.cases.first { $0.name == "dare_ties" })
    var recipe = test.recipe
    let first = try merge(recipe, to: "first")
    recipe.seed += 1
    let second = try merge(recipe, to: "second")
    #expect(!sameBits(try first["model.norm.weight"], try second["model.norm.weight"]))
    #expect(
      try FileMerge(recipe, engine: MergeFixture.engine()).fingerprint
        != FileMerge(test.recipe, engine: MergeFixture.engine()).fingerprint)
  }

  /// What a soup's blend by a method is: the merge of the files with λ as weights and nothing divided by.
  @Test(arguments: MergeFixture.cases.filter { $0.name.hasSuffix("-soup") })
  func valuesAreTakenByLayerFilterAndModel(test: MergeFixture.Case) throws {
    let declaration = try MethodRegistry.method(test.method).declaration
    #expect(declaration.isForSoups && declaration.negative == .signed)
    let settings = test.settings.filter { $0.name != "weight" && $0.name != "normalize" }
    let method = try #require(try BlendMethod.make(test.method, settings: settings, seed: test.seed))
    let values = try method.values([(0, 1.5), (1, -0.75), (2, 0.25)], tensor: "model.norm.weight", depth: 0)
    #expect(values.numbers["weight"] == [1.5, -0.75, 0.25])
    #expect(values.flag("normalize") == false)
  }

  @Test func settingsAreFoundInTheOrderOfMergekit() throws {
    var recipe = MergeRecipe(method: "ties", base: "b", models: ["x", "y"])
    recipe.settings = [
      ParameterSetting("density", filter: "mlp", values: [0.25]), ParameterSetting("density", values: [0, 1]),
      ParameterSetting("density", model: 1, filter: "self_attn", values: [0.125]),
      ParameterSetting("weight", values: [1]), ParameterSetting("int8_mask", values: [1]),
    ]
    let ties = Ties().declaration
    try recipe.check(ties)
    func densities(_ name: String, _ depth: Double) throws -> [Double]? {
      try recipe.values(ties, models: [0, 1], tensor: name, depth: depth).numbers["density"]
    }
    #expect(try densities("model.layers.3.mlp.up_proj.weight", 0.5) == [0.25, 0.25])
    #expect(try densities("model.layers.3.self_attn.q_proj.weight", 0.75) == [0.75, 0.125])
    #expect(try densities("model.norm.weight", 0) == [0, 0])
    #expect(TensorName("model.layers.12.mlp.weight").layer == 12)
    #expect(TensorName("model.norm.weight").layer == nil)
    #expect(TensorName("").hash == 0xcbf2_9ce4_8422_2325)
    #expect(TensorName("a").hash == 0xaf63_dc4c_8601_ec8c)
  }

  @Test(arguments: [
    ("ties", "density", 1.5, "density is 1.5"), ("ties", "t", 1, "takes no parameter \"t\""),
    ("ties", "normalize", 0.5, "0 or 1"), ("slerp", "t", .nan, "finite"), ("linear", "normalize", 1, "needs weight"),
    ("della", "epsilon", 0.5, "must lie between"),
  ])
  func wrongParametersAreRefused(method: String, name: String, value: Double, part: String) throws {
    var recipe = MergeRecipe(
      method: method, base: MergeFixture.path + "/base",
      models: (0..<(method == "slerp" ? 1 : 3)).map { MergeFixture.path + "/tune\($0)" })
    recipe.settings = [ParameterSetting(name, values: [value])]
    if method != "linear" && method != "slerp" {
      recipe.settings += [ParameterSetting("weight", values: [1]), ParameterSetting("density", values: [0.5])]
    }
    let message = failure { try merge(recipe) }
    #expect(message.hasPrefix("invalidArgument: ") && message.contains(part), "\(message)")
    #expect(access(temporary.path + "/out", F_OK) != 0)
  }

  @Test func wrongModelsAreRefused() throws {
    func message(_ method: String, _ base: String?, _ models: [String]) -> String {
      var recipe = MergeRecipe(
        method: method, base: base.map { MergeFixture.path + "/" + $0 },
        models: models.map { $0.hasPrefix("/") ? $0 : MergeFixture.path + "/" + $0 })
      if method != "slerp" { recipe.settings = [ParameterSetting("weight", values: [1])] }
      return failure { try merge(recipe) }
    }
    #expect(message("ties", nil, ["tune0"]).contains("ties needs a base"))
    #expect(message("ties", "base", ["base"]).contains("and there are 0"))
    #expect(message("nuslerp", nil, ["tune0"]).contains("nuslerp takes 2 models"))
    #expect(message("slerp", "base", ["base", "tune0"]).contains("slerp needs t"))
    #expect(message("none", nil, ["tune0"]).hasPrefix("notFound: \"none\" is no merge method"))
    #expect(message("linear", nil, ["nothing"]).hasPrefix("notFound: "))
    let other = Fixtures.model("qwen2")
    #expect(message("linear", nil, ["tune0", other]).contains("not of one architecture"))
    #expect(message("ties", "base", [Fixtures.adapter("llama3", "plain")]).hasPrefix("mismatch: "))
    #expect(message("linear", nil, [Fixtures.adapter("llama3", "plain")]).contains("give base"))
  }
}
