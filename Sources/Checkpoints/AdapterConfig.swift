import JSON
import Platform

/// What `adapter_config.json` says about ranks and scales. Everything that would need other arithmetic is refused.
struct AdapterConfig {
  static let name = "adapter_config.json"
  static let maximumRank = 65_536
  private static let maximumPatterns = 65_536

  let file: String
  let rank: Int
  let alpha: Double
  let isRankStabilised: Bool
  let ensuresWeightTying: Bool
  private let ranks: [(pattern: ModulePattern, value: Int)]
  private let alphas: [(pattern: ModulePattern, value: Double)]

  init(_ document: JSONDocument) throws(BoneSoupError) {
    let root = document.root
    file = document.file
    let type = try root.member("peft_type")
    guard type.equals("LORA") else {
      throw type.unsupported("is \"\(try type.text(maxBytes: 100))\"; LORA is supported")
    }
    try Self.refuseVariants(root)
    rank = try root.int("r", in: 1...Self.maximumRank)
    alpha = try root.double("lora_alpha")
    isRankStabilised = try root.optionalBool("use_rslora") ?? false
    ensuresWeightTying = try root.optionalBool("ensure_weight_tying") ?? false
    ranks = try Self.patterns(root, "rank_pattern") { value throws(BoneSoupError) in
      try value.int(in: 1...Self.maximumRank)
    }
    alphas = try Self.patterns(root, "alpha_pattern") { value throws(BoneSoupError) in try value.double }
  }

  /// The rank of a module: of the first pattern that matches it, or else the common one.
  func rank(of module: String) -> Int { ranks.first { $0.pattern.matches(module) }?.value ?? rank }

  /// The factor of up·down for a module.
  func scale(of module: String) -> Double {
    let alpha = alphas.first { $0.pattern.matches(module) }?.value ?? alpha
    let rank = Double(rank(of: module))
    return alpha / (isRankStabilised ? rank.squareRoot() : rank)
  }

  private static func patterns<Value>(
    _ root: JSONValue, _ key: String, _ read: (JSONValue) throws(BoneSoupError) -> Value
  ) throws(BoneSoupError) -> [(pattern: ModulePattern, value: Value)] {
    guard let object = try root.optionalObject(key) else { return [] }
    guard object.count <= maximumPatterns else {
      throw object.unsupported("has \(object.count) members; at most \(maximumPatterns) are possible")
    }
    var patterns: [(pattern: ModulePattern, value: Value)] = []
    for member in try object.members {
      guard let pattern = ModulePattern(try member.key.text(maxBytes: 1024)) else {
        throw member.value.unsupported(
          "has a key that is a regular expression; plain module names are supported, such as "
            + "q_proj or ^model.layers.0.self_attn.q_proj")
      }
      patterns.append((pattern, try read(member.value)))
    }
    return patterns
  }
}
