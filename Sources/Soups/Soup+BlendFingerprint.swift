import Kernels

extension Soup {
  /// Of a blend: all that its bits follow from.
  func fingerprint(
    kind: Blend.Kind, format: WeightFormat, coefficients: [Double], _ layerMultipliers: [Float]?,
    _ method: BlendMethod? = nil
  ) -> Fingerprint {
    var builder = FingerprintBuilder(domain: "blend")
    builder.add("soup", fingerprint: fingerprint)
    builder.add(method)
    builder.add("coefficients", doubles: coefficients)
    builder.add("kind, format", integers: [Int64(kind.rawValue), Int64(format.rawValue)])
    builder.add("instruction set", text: engine.kernels.instructionSet.rawValue)
    if let layerMultipliers, layerMultipliers.contains(where: { $0 != 1 }) {
      builder.add("layer multipliers", doubles: layerMultipliers.map(Double.init))
    }
    return builder.fingerprint
  }

  /// Of what the base computes alone, which is the live blend whose coefficients are all 0.
  public var baseFingerprint: Fingerprint {
    fingerprint(kind: .live, format: base.format, coefficients: backbones.map { _ in 0 }, nil)
  }
}
