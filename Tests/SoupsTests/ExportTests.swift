import Checkpoints
import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

@Suite struct ExportTests {
  private func export(
    _ soup: Soup, _ coefficients: [Double], to path: String, _ change: (inout ExportOptions) -> Void = { _ in }
  ) throws {
    var request = BlendRequest()
    request.point = .coefficients(coefficients)
    var options = ExportOptions()
    change(&options)
    _ = try BlendPoint(soup, request).export(to: path, options, monitor: .none)
  }

  @Test(arguments: ["llama3-full", "llama3-lora", "llama2-embeddings", "qwen2-lora"])
  func anExportedFolderHasTheWeightsOfAFold(_ name: String) throws {
    let folder = try TemporaryFolder()
    for threads in [1, 3] {
      let soup = try openSoup(Fixtures.soup(name), engine: makeEngine(threads: threads))
      let coefficients = soup.backbones.indices.map { 0.7 - 0.9 * Double($0) }
      try export(soup, coefficients, to: folder.path + "/\(threads)")
      let written = try openSoup(folder.path + "/\(threads)")
      #expect(
        try written.blend([], .folded).weights().allBytes == soup.blend(coefficients, .folded).weights().allBytes)
    }
    #expect(
      try TemporaryFolder.read(folder.path + "/1/model.safetensors")
        == TemporaryFolder.read(folder.path + "/3/model.safetensors"))
  }

  @Test func targetsAreShortWhereEveryBlockIsAdapted() throws {
    let config = try openSoup(Fixtures.model("llama3")).base.config
    func targets(_ names: [String]) -> [String] {
      AdapterTargets(names.map { .init(name: $0, kind: .linear, inputs: 1, outputs: 1) }, config).names
    }
    let query = (0..<config.layerCount).map { "model.layers.\($0).self_attn.q_proj" }
    #expect(targets(query + ["model.layers.1.mlp.up_proj"]) == ["q_proj", "model.layers.1.mlp.up_proj"])
    #expect(targets(["lm_head", "model.embed_tokens"]) == ["lm_head", "embed_tokens"])
  }

  @Test func cardsEscapeWhatOthersWrote() {
    var card = ModelCard(library: "peft", title: "T", summary: "S")
    card.preference = [("a|b\n---\n`x` <script>", 1)]
    card.baseName = "quote\"\n- tag: evil\\"
    let text = card.text
    #expect(text.contains(#"| a\|b --- \`x\` \<script\> | 1.0 |"#))
    #expect(text.contains(#"base_model: "quote\" - tag: evil\\""# + "\n---\n"))
    // The head ends once.
    #expect(text.components("\n---\n") == 1)
  }

  @Test func pairsOfBackbonesHavePlacesOfTheirOwn() {
    for count in 1...9 {
      let sums = ChangeSums(backboneCount: count)
      var places: Set<Int> = [0, 1, 2, 3, 4]
      for backbone in 0..<count {
        places.formUnion([
          sums.square(backbone), sums.largest(backbone), sums.changed(backbone), sums.magnitude(backbone),
        ])
        for other in 0..<backbone { places.formUnion((0..<3).map { sums.pair(other, backbone) + $0 }) }
      }
      #expect(places == Set(0..<sums.width))
    }
  }

  @Test func hashesAreThoseOfTheContents() throws {
    let folder = try TemporaryFolder()
    try folder.write("a", [UInt8]("abc".utf8))
    let file = try FileProvider(folder: folder.path).open("a", allocator: .system)
    let pool = ThreadPool(threadCount: 2)
    let digests = try ContentHash.digests(of: [file, file], pool: pool, monitor: .none)
    #expect(
      digests.map(\.description)
        == [String](repeating: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", count: 2))
  }
}

extension String {
  /// How many times a text is in it.
  fileprivate func components(_ part: String) -> Int { ranges(of: part).count }
}
