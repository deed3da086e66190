import CBoneSoup

/// Owns a `bsoup_session`.
final class SessionHandle {
  let pointer: OpaquePointer

  init(_ blend: BlendHandle, context: Int, kv: StorageFormat?) throws(Failure) {
    var options = bsoup_session_options()
    bsoup_session_options_init(&options, MemoryLayout.size(ofValue: options))
    options.context = UInt32(clamping: context)
    options.kv_format = kv?.code ?? 0
    var handle: OpaquePointer?
    let status = bsoup_session_create(blend.pointer, &options, &handle)
    pointer = try EngineHandle.require(handle, status)
  }

  deinit { bsoup_session_free(pointer) }

  func append(_ tokens: ArraySlice<Int32>) throws(Failure) {
    try Failure.check(tokens.withUnsafeBufferPointer { bsoup_session_append(pointer, $0.baseAddress, $0.count) })
  }

  func rewind(to count: Int) throws(Failure) { try Failure.check(bsoup_session_rewind(pointer, count)) }

  /// Keeps the keys and values of the old blend.
  func change(to blend: BlendHandle) throws(Failure) {
    try Failure.check(bsoup_session_set_blend(pointer, blend.pointer, 1))
  }

  func decode() throws(Failure) { try Self.decode([self]) }

  /// Computes what is pending in all of them, together.
  static func decode(_ sessions: [SessionHandle]) throws(Failure) {
    let pointers: [OpaquePointer?] = sessions.map(\.pointer)
    try Failure.check(bsoup_decode(pointers, pointers.count, nil))
  }

  func kvFormat() throws(Failure) -> StorageFormat? {
    var info = bsoup_session_info()
    info.struct_size = UInt32(MemoryLayout.size(ofValue: info))
    try Failure.check(bsoup_session_get_info(pointer, &info))
    return StorageFormat.coded(info.kv_format)
  }
}
