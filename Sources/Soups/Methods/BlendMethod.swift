public import Platform

/// How a soup's blends are made where it is not by the plain sum: a merge method with its parameters, λ being its weights.
///
/// The sum of the weights is never divided by (`normalize` is 0), and backbones with λ = 0 are left out. Immutable.
public struct BlendMethod: Sendable, Equatable {
  public let name: String
  public let settings: [ParameterSetting]
  /// Of random methods.
  public let seed: UInt64
  let method: any MergeMethod

  /// What λ, and the rule of soups, decide.
  private static let reserved = ["weight", "normalize"]

  /// nil for `linear` without parameters, which is the plain sum.
  ///
  /// - Parameter settings: `model` is a backbone's number.
  public static func make(
    _ name: String, settings: [ParameterSetting] = [], seed: UInt64 = 0
  ) throws(BoneSoupError) -> BlendMethod? {
    let method = try MethodRegistry.method(name)
    let declaration = method.declaration
    guard declaration.isForSoups else {
      throw .unsupported(
        "\(name) is for files, not for soups: "
          + (declaration.negative == .ignored
            ? "it does not use the coefficients" : "it takes \(declaration.models.upperBound) models only"))
    }
    for setting in settings where reserved.contains(setting.name) {
      throw .invalidArgument(
        setting.name == "weight"
          ? "the weights of \(name) in a soup are the coefficients; leave weight out"
          : "a soup never divides by the sum of the weights; leave normalize out")
    }
    var recipe = MergeRecipe(
      method: name, base: nil, models: (0..<MethodDeclaration.modelLimit).map { "\($0)" })
    recipe.settings = settings
    try recipe.check(declaration)
    guard name != "linear" else { return nil }
    return BlendMethod(name: name, settings: settings, seed: seed, method: method)
  }

  public static func == (a: BlendMethod, b: BlendMethod) -> Bool {
    a.name == b.name && a.settings == b.settings && a.seed == b.seed
  }

  /// The parameters of a tensor.
  ///
  /// - Parameter weights: λ of the backbones that take part, by their numbers.
  func values(
    _ weights: [(backbone: Int, value: Double)], tensor: String, depth: Double
  ) throws(BoneSoupError) -> MethodValues {
    var recipe = MergeRecipe(method: name, base: nil, models: [])
    recipe.settings = settings
    for weight in weights {
      recipe.settings.append(ParameterSetting("weight", model: weight.backbone, values: [weight.value]))
    }
    recipe.settings.append(ParameterSetting("normalize", values: [0]))
    return try recipe.values(
      method.declaration, models: weights.map(\.backbone), tensor: tensor, depth: depth)
  }
}

extension FingerprintBuilder {
  mutating func add(_ method: BlendMethod?) {
    add("method", text: method?.name ?? "linear")
    guard let method else { return }
    if method.method.declaration.isRandom { add("seed", integers: [Int64(bitPattern: method.seed)]) }
    for setting in method.settings {
      add("parameter", text: setting.name)
      add("backbone", integers: [Int64(setting.model ?? -1)])
      add("filter", text: setting.filter ?? "*")
      add("values", doubles: setting.values)
    }
  }
}
