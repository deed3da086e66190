import CBoneSoup

/// Owns a `bsoup_blend`.
final class BlendHandle {
  enum Kind: UInt32 { case automatic = 0, folded = 1, live = 2 }

  let pointer: OpaquePointer
  let soup: SoupHandle

  /// - Parameter coefficients: one per backbone.
  init(_ soup: SoupHandle, _ coefficients: [Double], _ kind: Kind, weights: StorageFormat? = nil) throws(Failure) {
    var options = bsoup_blend_options()
    bsoup_blend_options_init(&options, MemoryLayout.size(ofValue: options))
    options.kind = kind.rawValue
    options.weights = weights?.code ?? 0
    var handle: OpaquePointer?
    let status = coefficients.withUnsafeBufferPointer {
      options.coefficients = coefficients.isEmpty ? nil : $0.baseAddress
      options.coefficient_count = UInt32(clamping: coefficients.count)
      return bsoup_blend_create(soup.pointer, &options, &handle)
    }
    pointer = try EngineHandle.require(handle, status)
    self.soup = soup
  }

  deinit { bsoup_blend_free(pointer) }

  func memory() throws(Failure) -> Double {
    var info = bsoup_blend_info()
    info.struct_size = UInt32(MemoryLayout.size(ofValue: info))
    try Failure.check(bsoup_blend_get_info(pointer, &info))
    return Double(info.memory)
  }
}
