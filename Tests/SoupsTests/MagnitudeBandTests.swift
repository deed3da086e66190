import Glibc
import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

/// Cuts by magnitude in tensors so large that a sample of their blocks is looked at first.
@Suite struct MagnitudeBandTests {
  let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  private static let count = 1_100_000
  private static let name = "model.layers.0.mlp.up_proj.weight"

  /// Base and tune: few magnitudes with many equals of each, or all different and greater towards the end, so that the
  /// sample of a stretch would tell nothing about the rest.
  private func models(hasEquals: Bool) throws -> [Float] {
    var random = SplitMix(seed: 11)
    let tune = (0..<Self.count).map { index in
      hasEquals
        ? (Float(random.below(9)) - 4) * 0.125
        : Float(random.below(1 << 24)) * 0x1p-24 * Float(index + 1) / Float(Self.count)
    }
    for (name, values) in [("base", [Float](repeating: 0, count: Self.count)), ("tune", tune)] {
      var builder = SafetensorsBuilder()
      builder.add(Self.name, type: "F32", shape: [Self.count / 100, 100], bytes: values.withUnsafeBytes { Array($0) })
      try temporary.write(name + "/model.safetensors", builder.bytes)
      try temporary.write(name + "/config.json", "{}")
    }
    return tune
  }

  private func recipe(_ method: String, _ density: Double) -> MergeRecipe {
    var recipe = MergeRecipe(method: method, base: temporary.path + "/base", models: [temporary.path + "/tune"])
    recipe.settings = [ParameterSetting("weight", values: [1]), ParameterSetting("density", values: [density])]
    return recipe
  }

  /// The elements of these ranks, from the greatest magnitude down, equals by their place; the others 0.
  private func kept(_ tune: [Float], _ sorted: [Float], _ ranks: Range<Int>) -> [Float] {
    func isAmong(_ k: Int) -> [Bool] {
      guard k > 0 else { return [Bool](repeating: false, count: tune.count) }
      let cut = sorted[k - 1]
      var equals = k - sorted.prefix(k).reversed().drop { $0 == cut }.count
      return tune.map { value in
        if value.magnitude == cut { equals -= 1 }
        return value.magnitude > cut || (value.magnitude == cut && equals >= 0)
      }
    }
    let (dropped, among) = (isAmong(ranks.lowerBound), isAmong(ranks.upperBound))
    return tune.indices.map { among[$0] && !dropped[$0] ? tune[$0] : 0 }
  }

  @Test(arguments: [false, true])
  func theGreatestAreKeptAndEqualsByTheirPlace(hasEquals: Bool) throws {
    let tune = try models(hasEquals: hasEquals)
    let sorted = tune.map(\.magnitude).sorted(by: >)
    for (method, density, dropped) in [("ties", 0.3, 0), ("breadcrumbs", 0.5, Self.count / 100)] {
      let expected = kept(tune, sorted, dropped..<dropped + Int(density * Double(Self.count)))
      for threads in [1, 3] {
        let engine = MergeFixture.engine(threads: threads)
        let out = "\(temporary.path)/\(method)-\(density)-\(threads)"
        try FileMerge(recipe(method, density), engine: engine).run(to: out, isSynced: false)
        #expect(try FloatTensors(out + "/model.safetensors")[Self.name] == expected, "\(method) \(density) \(threads)")
        #expect(engine.allocator.bytesInUse == 0)
      }
    }
  }

  @Test func aSourceCutShortBetweenTwoPassesStopsAllThreads() throws {
    _ = try models(hasEquals: true)
    let merge = try FileMerge(recipe("ties", 0.5), engine: MergeFixture.engine(threads: 3))
    #expect(truncate(temporary.path + "/tune/model.safetensors", 3 << 20) == 0)
    #expect(failure { try merge.run(to: temporary.path + "/out") }.contains("cut short"))
    #expect(access(temporary.path + "/out", F_OK) != 0)
  }
}
