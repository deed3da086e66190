import Checkpoints
import Kernels
import Platform
import Transformer

/// A blend's weights tensor by tensor, from the files in their own formats: c₀θ₀ + Σ_full λᵢθᵢ + Σ_LoRA λᵢsᵢUᵢDᵢ.
///
/// The arithmetic is a fold's: f32, base first and then the backbones in order, the first term initialises, terms with
/// coefficient 0 are not read. So one-hot coefficients give a full backbone back bit for bit.
struct WeightMix: Sendable {
  let base: BaseModel
  let backbones: [Backbone]
  let coefficients: [Double]
  let baseShare: Double
  /// [backbone][layer] factors of λ; nil is all 1.
  let layerMultipliers: [Float]?
  /// nil is the plain sum.
  let method: BlendMethod?
  let engine: Engine

  init(
    _ soup: Soup, coefficients: [Double], baseShare: Double, layerMultipliers: [Float]? = nil,
    method: BlendMethod? = nil
  ) {
    base = soup.base
    backbones = soup.backbones
    engine = soup.engine
    self.coefficients = coefficients
    self.baseShare = baseShare
    self.layerMultipliers = layerMultipliers
    self.method = method
  }

  /// The adapters' modules at the two ends of the model, where a tied pair can come apart.
  private static let endModules: Set = ["model.embed_tokens", "lm_head"]

  /// Whether a tied model's two ends differ in this blend.
  var untiesHead: Bool {
    base.config.tiesEmbeddings
      && zip(backbones, coefficients).contains { backbone, coefficient in
        coefficient != 0 && backbone.adapter?.modules.contains { Self.endModules.contains($0.name) } ?? false
      }
  }

  /// In the order of computing.
  var tensors: [MixedTensor] {
    let parameters = base.config.parameters
    var list = parameters.map { MixedTensor($0) }
    if untiesHead, let embedding = parameters.first { list.append(MixedTensor(headFrom: embedding)) }
    return list
  }

  /// λ of a backbone in a layer (nil: outside the layers).
  func coefficient(of backbone: Int, layer: Int?) -> Double {
    guard let layer, let layerMultipliers else { return coefficients[backbone] }
    return coefficients[backbone] * Double(layerMultipliers[backbone * base.config.layerCount + layer])
  }

  /// The summands of a tensor, in the order in which they are added.
  func terms(of tensor: MixedTensor, monitor: Monitor) throws(BoneSoupError) -> [FoldTerm] {
    if let method, coefficients.contains(where: { $0 != 0 }) {
      let fold = Fold(
        base: base, backbones: backbones, coefficients: coefficients, baseShare: baseShare, format: .f32,
        engine: engine, pool: engine.pool, method: method)
      let result = try Buffer(
        of: Float.self, count: tensor.source.elementCount, allocator: engine.allocator, purpose: "a merged tensor")
      let merged = try fold.merge(
        tensor.source, module: tensor.module, by: method, into: result, monitor: monitor)
      return [try FoldTerm(merged, coefficient: 1)]
    }
    var terms: [FoldTerm] = []
    if baseShare != 0 {
      terms.append(try FoldTerm(try base.checkpoint.tensor(of: tensor.source), coefficient: baseShare))
    }
    for (index, backbone) in backbones.enumerated() {
      let coefficient = coefficient(of: index, layer: tensor.layer)
      if coefficient == 0 { continue }
      switch backbone.content {
      case .full(let checkpoint):
        terms.append(try FoldTerm(try checkpoint.tensor(of: tensor.source), coefficient: coefficient))
      case .lowRank(let adapter):
        for module in adapter.modules where module.name == tensor.module {
          terms.append(try FoldTerm(module, coefficient: coefficient, columns: tensor.columns, engine: engine))
        }
      }
    }
    return terms
  }
}
