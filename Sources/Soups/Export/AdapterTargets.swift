import Checkpoints
import Transformer

/// PEFT's `target_modules` for a list of modules: a layer's short name where it is adapted in every block, so that the
/// list is short; full names where it is in some alone.
struct AdapterTargets {
  let names: [String]

  init(_ modules: [AdapterFolderWriter.Module], _ config: ModelConfig) {
    var counts: [String: Int] = [:]
    func short(_ name: String) -> String { name.split(separator: ".").last.map(String.init) ?? name }
    for module in modules { counts[short(module.name), default: 0] += 1 }
    var names: [String] = []
    for module in modules {
      let isInBlock = module.name.hasPrefix("model.layers.")
      let isEverywhere = !isInBlock || counts[short(module.name)] == config.layerCount
      let name = isEverywhere ? short(module.name) : module.name
      if !names.contains(name) { names.append(name) }
    }
    self.names = names
  }
}
