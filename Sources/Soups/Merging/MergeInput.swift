import Checkpoints
import Platform
import Transformer

/// One model of a merge of files: a checkpoint, or an adapter of the base.
struct MergeInput: Sendable {
  enum Content: Sendable {
    case full(Checkpoint)
    case lowRank(Adapter, [String: Int])
  }

  /// As the recipe has it.
  let path: String
  /// Where config and tokenizer are.
  let folder: FileProvider
  let content: Content

  /// Two names of one matrix in tied models.
  private static let ends = ["model.embed_tokens.weight", "lm_head.weight"]

  init(_ path: String, engine: Engine, monitor: Monitor) throws(BoneSoupError) {
    self.path = path
    if DiskPath.isFile(path) {
      let (parent, name) = DiskPath.split(path)
      folder = try FileProvider(folder: parent)
      content = .full(try Checkpoint(file: name, in: folder, allocator: engine.allocator, monitor: monitor))
      return
    }
    let files = try FileProvider(folder: path)
    if Adapter.isAdapter(files) {
      // Small, and in memory nobody changes it.
      folder = try FileProvider(folder: path, mode: .copy)
      let adapter = try Adapter(folder: folder, allocator: engine.allocator, monitor: monitor)
      guard adapter.baseTensors.isEmpty else {
        throw .unsupported(
          "\(adapter.name): the adapter brings weights of the base along; merge it into a full checkpoint first")
      }
      var places: [String: Int] = [:]
      for (index, module) in adapter.modules.enumerated() { places[module.name + ".weight"] = index }
      content = .lowRank(adapter, places)
    } else {
      folder = files
      content = .full(try Checkpoint(folder: files, allocator: engine.allocator, monitor: monitor))
    }
  }

  var checkpoint: Checkpoint? {
    if case .full(let checkpoint) = content { checkpoint } else { nil }
  }

  /// The tensor of the reference's name; under the other end's name where the reference has one end only, as tied models
  /// may.
  func tensor(_ name: String, reference: Checkpoint) throws(BoneSoupError) -> TensorView? {
    guard let checkpoint else { return nil }
    if let found = try checkpoint.tensor(name) { return found }
    guard let end = Self.ends.firstIndex(of: name), reference.index(of: Self.ends[1 - end]) == nil else { return nil }
    return try checkpoint.tensor(Self.ends[1 - end])
  }

  /// Throws for a tensor that the reference has not.
  func refuseTensors(beyond reference: Checkpoint, isTied: Bool, monitor: Monitor) throws(BoneSoupError) {
    guard let checkpoint else { return }
    for index in 0..<checkpoint.count {
      if index % 1024 == 0 { try monitor.check() }
      let bytes = checkpoint.name(at: index)
      guard bytes.count <= 4096 else {
        throw .unsupported("\(checkpoint.name) has a tensor's name of \(bytes.count) bytes")
      }
      let name = String(decoding: bytes, as: UTF8.self)
      if reference.index(of: name) != nil || name.hasSuffix("rotary_emb.inv_freq") { continue }
      if let end = Self.ends.firstIndex(of: name), reference.index(of: Self.ends[1 - end]) != nil,
        isTied || checkpoint.index(of: Self.ends[1 - end]) == nil
      {
        continue
      }
      throw .mismatch(
        "\(checkpoint.name) has the tensor \(name.prefix(200)), which \(reference.name) has not: the models are not of "
          + "one architecture")
    }
  }

  /// Throws for an adapter of what the reference has not.
  func refuseModules(beyond reference: Checkpoint) throws(BoneSoupError) {
    guard case .lowRank(let adapter, _) = content else { return }
    for module in adapter.modules where reference.index(of: module.name + ".weight") == nil {
      throw .mismatch(
        "\(adapter.name): the adapter changes \(module.name.prefix(200)), which \(reference.name) has not")
    }
  }

  /// Throws where a file was changed since it was opened.
  func requireUnchanged() throws(BoneSoupError) {
    for file in checkpoint?.sources ?? [] { try file.requireUnchanged() }
  }
}
