import CBoneSoup

/// Owns a `bsoup_soup`.
final class SoupHandle {
  let pointer: OpaquePointer
  let info: bsoup_soup_info
  private let engine: EngineHandle

  /// - Parameter weights: nil for the file's own format.
  init(_ path: String, engine: EngineHandle, weights: StorageFormat?) throws(Failure) {
    var options = bsoup_open_options()
    bsoup_open_options_init(&options, MemoryLayout.size(ofValue: options))
    options.weights = weights?.code ?? 0
    var handle: OpaquePointer?
    let status = bsoup_soup_open(engine.pointer, path, &options, &handle)
    pointer = try EngineHandle.require(handle, status)
    self.engine = engine
    var info = bsoup_soup_info()
    info.struct_size = UInt32(MemoryLayout.size(ofValue: info))
    try Failure.check(bsoup_soup_get_info(pointer, &info))
    self.info = info
  }

  deinit { bsoup_soup_free(pointer) }

  /// Of each backbone: whether it is low-rank, and its numbers.
  func backbones() throws(Failure) -> [(isLowRank: Bool, parameters: Double)] {
    var list: [(isLowRank: Bool, parameters: Double)] = []
    for index in 0..<info.backbone_count {
      var backbone = bsoup_backbone_info()
      backbone.struct_size = UInt32(MemoryLayout.size(ofValue: backbone))
      try Failure.check(bsoup_soup_backbone(pointer, index, &backbone))
      list.append((backbone.low_rank != 0, Double(backbone.parameters)))
    }
    return list
  }
}
