import JSON
import Platform

/// A LoRA adapter as PEFT saves it: a folder of `adapter_config.json` and `adapter_model.safetensors`. Immutable.
public final class Adapter: Sendable {
  public static let configName = AdapterConfig.name
  static let tensorsName = "adapter_model.safetensors"
  public static let maximumModules = 65_536
  private static let maximumNameBytes = 1024

  /// Names the folder in messages.
  public let name: String
  /// In the order of the first of each one's tensor names.
  public let modules: [AdapterModule]
  /// Weights of the base saved along, which must equal the base's.
  public let baseTensors: [AdapterBaseTensor]
  /// The adapter of a tied output layer is that of the embedding, transposed.
  public let ensuresWeightTying: Bool
  public let identities: [FileIdentity]
  /// The files of tensors.
  public let sources: [FileBytes]

  /// Whether a folder holds an adapter rather than a full model.
  public static func isAdapter(_ folder: FileProvider) -> Bool { folder.exists(configName) }

  public init(folder: FileProvider, allocator: Allocator, monitor: Monitor = .none) throws(BoneSoupError) {
    let document = try folder.json(
      Self.configName, maximumBytes: 1 << 20, allocator: allocator, monitor: monitor.part(from: 0, to: 0))
    let config = try AdapterConfig(document)
    guard folder.exists(Self.tensorsName) else {
      guard folder.exists("adapter_model.bin") else {
        throw .notFound("\(folder.describe(Self.tensorsName)) does not exist")
      }
      throw Checkpoint.unsupportedFile(folder.describe("adapter_model.bin"))
    }
    let checkpoint = try Checkpoint(file: Self.tensorsName, in: folder, allocator: allocator, monitor: monitor)
    name = folder.describe()
    identities = checkpoint.identities
    sources = checkpoint.sources
    ensuresWeightTying = config.ensuresWeightTying
    let parts = try Self.collect(checkpoint)
    var modules: [AdapterModule] = []
    for parts in parts.modules {
      try monitor.check()
      modules.append(try Self.module(parts, config: config, file: checkpoint.name))
    }
    self.modules = modules
    baseTensors = parts.base
  }

  private struct Parts {
    let module: String
    let kind: AdapterModule.Kind
    var down: TensorView?
    var up: TensorView?
  }

  /// The tensors by module; throws for one that belongs to none.
  private static func collect(
    _ checkpoint: Checkpoint
  ) throws(BoneSoupError) -> (modules: [Parts], base: [AdapterBaseTensor]) {
    guard checkpoint.count <= 3 * maximumModules else {
      throw .unsupported("\(checkpoint.name) has \(checkpoint.count) tensors, too many for \(maximumModules) modules")
    }
    var modules: [Parts] = []
    var base: [AdapterBaseTensor] = []
    var places: [String: Int] = [:]
    for index in 0..<checkpoint.count {
      let bytes = checkpoint.name(at: index)
      guard bytes.count <= maximumNameBytes, let name = AdapterTensorName(String(decoding: bytes, as: UTF8.self)) else {
        throw .unsupported(
          "\(checkpoint.name): the tensor \(shortName(bytes)) is not known in a LoRA adapter; lora_A.weight, "
            + "lora_B.weight, lora_embedding_A and lora_embedding_B below base_model.model are")
      }
      let tensor = try checkpoint.tensor(at: index)
      if name.part == .base {
        base.append(AdapterBaseTensor(module: name.module, weight: tensor))
        continue
      }
      let place = places[name.module] ?? modules.count
      if place == modules.count {
        places[name.module] = place
        modules.append(Parts(module: name.module, kind: name.kind))
      }
      let present = name.part == .down ? modules[place].down : modules[place].up
      guard present == nil, modules[place].kind == name.kind else {
        throw .malformed(
          "\(checkpoint.name): the tensor \(tensor.name) is a second one for the module \(name.module.prefix(200)); "
            + "a file holds one adapter")
      }
      if name.part == .down { modules[place].down = tensor } else { modules[place].up = tensor }
    }
    guard modules.count <= maximumModules else {
      throw .unsupported("\(checkpoint.name) changes \(modules.count) modules; at most \(maximumModules) are possible")
    }
    guard !modules.isEmpty else { throw .malformed("\(checkpoint.name) holds no lora_A and lora_B at all") }
    return (modules, base)
  }

  private static func module(
    _ parts: Parts, config: AdapterConfig, file: String
  ) throws(BoneSoupError) -> AdapterModule {
    guard let down = parts.down, let up = parts.up else {
      let (there, missing) = parts.down == nil ? ("B", "A") : ("A", "B")
      throw .malformed(
        "\(file): the module \(parts.module.prefix(200)) has a lora_\(there) without its lora_\(missing)")
    }
    for tensor in [down, up] where tensor.shape.count != 2 || tensor.shape.contains(0) {
      throw .mismatch(
        "\(file): the tensor \(tensor.name) has the shape \(TensorView.describe(tensor.shape)); "
          + "a matrix of rank 1 or more is needed")
    }
    guard down.shape[0] == up.shape[1] else {
      throw .mismatch(
        "\(file): the tensors \(down.name), \(TensorView.describe(down.shape)), and \(up.name), "
          + "\(TensorView.describe(up.shape)), do not share a rank")
    }
    let rank = config.rank(of: parts.module)
    guard down.shape[0] == rank else {
      throw .mismatch(
        "\(file): the tensor \(down.name) has the rank \(down.shape[0]), but r and rank_pattern in \(config.file) "
          + "give it \(rank)")
    }
    return AdapterModule(
      name: parts.module, kind: parts.kind, rank: rank, scale: config.scale(of: parts.module), down: down, up: up)
  }
}
