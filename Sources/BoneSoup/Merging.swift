import CBoneSoup
import Glibc
import Platform
import Soups

// Chapter 12 of the header: merging files.

private var mergeDefaults: bsoup_merge_options {
  bsoup_merge_options(
    struct_size: UInt32(MemoryLayout<bsoup_merge_options>.size), format: UInt32(BSOUP_FORMAT_DEFAULT), method: nil,
    base: nil, models: nil, parameters: nil, model_count: 0, parameter_count: 0, seed: 0, shard_size: 0, skip_sync: 0,
    hash_files: 0, merge_block: nil, block_context: nil, cancel: nil, progress: nil, progress_context: nil,
    layers: nil)
}

@c @implementation
public func bsoup_merge_options_init(_ options: UnsafeMutablePointer<bsoup_merge_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, mergeDefaults)
}

extension ParameterSetting {
  /// The host's settings of parameters.
  static func list(
    _ pointer: UnsafePointer<bsoup_merge_parameter>?, _ count: UInt32
  ) throws(BoneSoupError) -> [ParameterSetting] {
    guard count <= MergeRecipe.settingLimit else {
      throw .invalidArgument("\(count) parameters; at most \(MergeRecipe.settingLimit) are possible")
    }
    var settings: [ParameterSetting] = []
    for raw in try Arguments.values(pointer, Int(count), "parameters") {
      guard raw.value_count >= 1, raw.value_count <= 1024 else {
        throw .invalidArgument("a parameter has \(raw.value_count) values; 1 to 1024 are possible")
      }
      guard raw.model >= -1 else {
        throw .invalidArgument("a parameter's model is \(raw.model); it must be -1, or the place of one")
      }
      settings.append(
        ParameterSetting(
          try Arguments.string(raw.name, "a parameter's name", maximum: 256),
          model: raw.model < 0 ? nil : Int(raw.model),
          filter: raw.filter == nil ? nil : try Arguments.string(raw.filter, "a parameter's filter"),
          values: Array(try Arguments.values(raw.values, Int(raw.value_count), "a parameter's values"))))
    }
    return settings
  }
}

extension MergeRecipe {
  fileprivate init(_ raw: bsoup_merge_options) throws(BoneSoupError) {
    let limit = MethodDeclaration.modelLimit + 1
    guard raw.model_count <= limit else {
      throw .invalidArgument("model_count is \(raw.model_count); at most \(limit) are possible")
    }
    var models: [String] = []
    for path in try Arguments.values(raw.models, Int(raw.model_count), "models") {
      models.append(try Arguments.string(path, "a model's path"))
    }
    let isOwn = raw.merge_block != nil
    let method = isOwn && raw.method == nil ? "a method of its own" : try Arguments.string(raw.method, "method")
    self.init(
      method: method, base: raw.base == nil ? nil : try Arguments.string(raw.base, "base"), models: models)
    settings = try ParameterSetting.list(raw.parameters, raw.parameter_count)
    if raw.layers != nil {
      layers = try Arguments.values(raw.layers, models.count, "layers").map {
        LayerRange(slice: Int($0.slice), first: Int($0.first_layer), count: Int($0.layer_count))
      }
    }
    type = try Arguments.elementType(raw.format, "format")
    seed = raw.seed
    if let merge = raw.merge_block { hostMethod = Self.own(method, merge, raw.block_context) }
  }

  private static func own(
    _ name: String, _ merge: bsoup_merge_block_fn, _ context: UnsafeMutableRawPointer?
  ) -> HostMethod {
    struct Context: @unchecked Sendable {
      let merge: bsoup_merge_block_fn
      let pointer: UnsafeMutableRawPointer?
    }
    let host = Context(merge: merge, pointer: context)
    return HostMethod(name: name) { block in
      var tensor = block.tensor
      return tensor.withUTF8 { text in
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { name in
          let count = min(text.count, name.count - 1)
          for index in 0..<count { name[index] = CChar(bitPattern: text[index]) }
          name[count] = 0
          return block.weights.withUnsafeBufferPointer { weights in
            var raw = bsoup_merge_block()
            raw.struct_size = UInt32(MemoryLayout<bsoup_merge_block>.size)
            raw.model_count = UInt32(clamping: weights.count)
            raw.tensor = UnsafePointer(name.baseAddress)
            raw.base = block.base
            raw.models = UnsafeRawPointer(block.models).assumingMemoryBound(to: UnsafePointer<Float>?.self)
            raw.weights = weights.baseAddress
            raw.offset = UInt64(clamping: block.offset)
            raw.count = UInt64(clamping: block.count)
            raw.result = block.result
            return host.merge(&raw, host.pointer) == 0
          }
        }
      }
    }
  }
}

@c @implementation
public func bsoup_merge_files(
  _ engine: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ options: UnsafePointer<bsoup_merge_options>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let engine = try DefaultEngine.resolve(engine)
    let path = try Arguments.string(path, "path")
    let raw = try Structs.read(options, mergeDefaults, "bsoup_merge_options")
    let recipe = try MergeRecipe(raw)
    let isSynced = try !Arguments.flag(raw.skip_sync, "skip_sync")
    let hashes = try Arguments.flag(raw.hash_files, "hash_files")
    let token = try Handles.token(raw.cancel)
    let merge = try FileMerge(recipe, engine: engine, monitor: Monitor(token: token, progress: nil))
    let report = MergeReport(call, raw, byteCount: merge.outputByteCount)
    try merge.run(
      to: path, shardBytes: raw.shard_size == 0 ? nil : Int(clamping: raw.shard_size), isSynced: isSynced,
      hashesSources: hashes, monitor: Monitor(token: token, progress: report.progress))
  }
}

@c @implementation
public func bsoup_merge_plan(
  _ engine: OpaquePointer!, _ options: UnsafePointer<bsoup_merge_options>!,
  _ info: UnsafeMutablePointer<bsoup_merge_info>!
) -> bsoup_status {
  Call.run { (call) throws(BoneSoupError) in
    let engine = try DefaultEngine.resolve(engine)
    try Structs.check(info, "bsoup_merge_info")
    let raw = try Structs.read(options, mergeDefaults, "bsoup_merge_options")
    let merge = try FileMerge(
      try MergeRecipe(raw), engine: engine, monitor: Monitor(token: try Handles.token(raw.cancel), progress: nil))
    var value = bsoup_merge_info()
    value.tensor_count = UInt32(clamping: merge.tensorCount)
    value.peak_memory = UInt64(clamping: merge.peakByteCount)
    value.output_size = UInt64(clamping: merge.outputByteCount)
    Structs.text72(merge.fingerprint.description, into: &value.fingerprint)
    try Structs.write(value, to: info, "bsoup_merge_info")
  }
}

/// Turns shares into what the host is told: time, rate, time left.
private struct MergeReport {
  /// nil where the host wants none.
  let progress: ((Double) -> Bool)?

  init(_ call: Call, _ raw: bsoup_merge_options, byteCount: Int) {
    guard let callback = raw.progress else {
      progress = nil
      return
    }
    let start = Self.seconds()
    let context = raw.progress_context
    progress = { share in
      let seconds = Self.seconds() - start
      var value = bsoup_merge_progress()
      value.struct_size = UInt32(MemoryLayout<bsoup_merge_progress>.size)
      value.share = share
      value.seconds = seconds
      value.seconds_left = share > 0 && seconds > 0 ? seconds * (1 - share) / share : .nan
      value.bytes_per_second = seconds > 0 ? share * Double(byteCount) / seconds : 0
      return call.host.asHost { callback(&value, context) } == 0
    }
  }

  private static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
