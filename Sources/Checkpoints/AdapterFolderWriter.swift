public import Kernels
public import Platform

/// Writes a LoRA adapter as PEFT saves it, so that peft, vLLM and llama.cpp's converter open it: every module of one rank
/// R, r = α = R, so that the scale is 1 and no pattern is needed (vLLM and llama.cpp ignore patterns).
public final class AdapterFolderWriter: Sendable {
  /// One adapted module and the sizes of its layer: of an embedding the vocabulary and the width.
  public struct Module: Sendable {
    /// As the model names it: `model.layers.0.self_attn.q_proj`.
    public let name: String
    public let kind: AdapterModule.Kind
    public let inputs: Int
    public let outputs: Int

    public init(name: String, kind: AdapterModule.Kind, inputs: Int, outputs: Int) {
      self.name = name
      self.kind = kind
      self.inputs = inputs
      self.outputs = outputs
    }
  }

  /// Beside the tensors: the header, config, card.
  private static let spareBytes = 1 << 20

  private let folder: OutputFolder
  private let tensors: SafetensorsWriter

  /// Creates the folder, not yet under its name, with everything but the tensors.
  ///
  /// - Parameters:
  ///   - path: does not exist, or is an empty folder.
  ///   - targets: PEFT's target_modules.
  ///   - base: what the config calls the base model.
  ///   - card: the text of README.md.
  public init(
    _ path: String, modules: [Module], rank: Int, type: ElementType, targets: [String], base: String, card: String,
    allocator: Allocator, monitor: Monitor = .none
  ) throws(BoneSoupError) {
    let list = try TensorList(allocator: allocator)
    for module in modules {
      let prefix = "base_model.model.\(module.name)."
      let isLinear = module.kind == .linear
      try list.append(
        prefix + (isLinear ? "lora_A.weight" : "lora_embedding_A"), type: type, shape: [rank, module.inputs])
      try list.append(
        prefix + (isLinear ? "lora_B.weight" : "lora_embedding_B"), type: type, shape: [module.outputs, rank])
    }
    let config = try Self.config(rank: rank, targets: targets, base: base, allocator: allocator)
    let (size, overflow) = list.byteCount.addingReportingOverflow(
      Self.spareBytes + config.count + card.utf8.count + 256 * list.count)
    guard !overflow else { throw .invalidArgument("\(path) would be too large") }
    folder = try OutputFolder(path, byteCount: size)
    try folder.write(Adapter.configName, UnsafeRawBufferPointer(config.span))
    try folder.write("README.md", text: card)
    tensors = try SafetensorsWriter(list, in: folder, stem: "adapter_model", shardBytes: nil, monitor: monitor.silent)
  }

  /// Writes both factors of a module: D as [rank × inputs] and U as [outputs × rank], in the type of the file.
  public func write(module: Int, down: UnsafeRawBufferPointer, up: UnsafeRawBufferPointer) throws(BoneSoupError) {
    try tensors.write(down, tensor: 2 * module)
    try tensors.write(up, tensor: 2 * module + 1)
  }

  /// Gives the folder its name, when all modules are written.
  public func commit(monitor: Monitor = .none) throws(BoneSoupError) {
    try tensors.finish()
    try folder.commit(monitor: monitor)
  }

  private static func config(
    rank: Int, targets: [String], base: String, allocator: Allocator
  ) throws(BoneSoupError) -> Vector<UInt8> {
    var text = try Vector<UInt8>(capacity: 4096, allocator: allocator, purpose: "the text of adapter_config.json")
    try text.append(text: "{\n  \"alpha_pattern\": {},\n  \"base_model_name_or_path\": ")
    try text.appendJSON(text: base)
    try text.append(
      text: """
        ,
          "bias": "none",
          "fan_in_fan_out": false,
          "inference_mode": true,
          "init_lora_weights": true,
          "layers_pattern": null,
          "layers_to_transform": null,
          "lora_alpha": \(rank),
          "lora_dropout": 0.0,
          "modules_to_save": null,
          "peft_type": "LORA",
          "r": \(rank),
          "rank_pattern": {},
          "revision": null,
          "target_modules": [
        """)
    for (index, target) in targets.enumerated() {
      try text.append(text: index == 0 ? "\n    " : ",\n    ")
      try text.appendJSON(text: target)
    }
    try text.append(
      text: """

          ],
          "task_type": "CAUSAL_LM",
          "use_dora": false,
          "use_rslora": false
        }

        """)
    return text
  }
}
