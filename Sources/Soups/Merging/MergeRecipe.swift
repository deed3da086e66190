public import Kernels
import Platform

/// What is merged from which files, and how: the core's form of mergekit's YAML.
public struct MergeRecipe: Sendable {
  public var method: String
  /// A model folder or safetensors file; nil for methods that need none.
  public var base: String?
  /// Model folders, safetensors files, or PEFT LoRA folders of the base. The base among them stands for itself.
  public var models: [String]
  /// Those of one model come before those of all; the first that is for a tensor counts.
  public var settings: [ParameterSetting] = []
  /// Which layers of each model are merged into which of the result; nil: whole models are merged.
  public var layers: [LayerRange]?
  /// Of the merged tensors; nil is each one's type in the base, or else in the first model.
  public var type: ElementType?
  /// Of random methods.
  public var seed: UInt64 = 0
  /// A host's own method, instead of the one by name.
  public var hostMethod: HostMethod?

  public init(method: String, base: String?, models: [String]) {
    self.method = method
    self.base = base
    self.models = models
  }

  /// The most settings of a recipe.
  public static let settingLimit = 4096

  /// The parameters of a tensor, defaults filled in and checked.
  ///
  /// - Parameter models: places in the recipe of the models that the method sees.
  func values(
    _ declaration: MethodDeclaration, models: [Int], tensor: String, depth: Double
  ) throws(BoneSoupError) -> MethodValues {
    var given: [String: [Double?]] = [:]
    for parameter in declaration.parameters {
      func find(_ model: Int?) -> Double? {
        for setting in settings where setting.name == parameter.name && setting.model == model {
          if let value = setting.value(tensor: tensor, depth: depth) { return value }
        }
        return nil
      }
      switch parameter.scope {
      case .perModel: given[parameter.name] = models.map { find($0) ?? find(nil) }
      // A slice's own value is set for its models.
      case .shared: given[parameter.name] = [(layers == nil ? nil : models.lazy.compactMap(find).first) ?? find(nil)]
      }
    }
    return try MethodRegistry.values(declaration, given: given, modelCount: models.count, tensor: tensor)
  }

  /// Throws for a setting that the method has no use for.
  func check(_ declaration: MethodDeclaration) throws(BoneSoupError) {
    guard settings.count <= Self.settingLimit else {
      throw .invalidArgument("\(settings.count) settings of parameters; at most \(Self.settingLimit) are possible")
    }
    for setting in settings {
      // mergekit's recipes have it with every method; here it changes nothing anywhere.
      if setting.name == MethodParameter.int8Mask.name { continue }
      guard let parameter = declaration.parameter(setting.name) else {
        let known = declaration.parameters.map(\.name).joined(separator: ", ")
        throw .invalidArgument(
          "\(declaration.name) takes no parameter \"\(setting.name.prefix(100))\"; it takes \(known)")
      }
      guard setting.model == nil || parameter.scope == .perModel || layers != nil else {
        throw .invalidArgument(
          "\(setting.name) of \(declaration.name) is one value for all models; it cannot be set for one of them")
      }
      guard !setting.values.isEmpty, setting.values.count <= 1024, setting.values.allSatisfy(\.isFinite) else {
        throw .invalidArgument("\(setting.name) has \(setting.values.count) values; 1 to 1024 finite ones are needed")
      }
      if let model = setting.model, !models.indices.contains(model) {
        throw .invalidArgument("a setting of \(setting.name) is for model \(model), and there are \(models.count)")
      }
    }
  }
}
