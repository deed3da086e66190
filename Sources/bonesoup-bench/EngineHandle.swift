import CBoneSoup

/// Owns a `bsoup_engine`.
final class EngineHandle {
  let pointer: OpaquePointer

  /// - Parameter cpus: what the pool's threads are pinned to; empty: not pinned.
  init(threads: Int, cpus: [Int]) throws(Failure) {
    var options = bsoup_engine_options()
    bsoup_engine_options_init(&options, MemoryLayout.size(ofValue: options))
    options.thread_count = UInt32(clamping: threads)
    let numbers = cpus.map { UInt32(clamping: $0) }
    var handle: OpaquePointer?
    let status = numbers.withUnsafeBufferPointer {
      options.cpus = numbers.isEmpty ? nil : $0.baseAddress
      options.cpu_count = UInt32(clamping: numbers.count)
      return bsoup_engine_create(&options, &handle)
    }
    pointer = try Self.require(handle, status)
  }

  deinit { bsoup_engine_free(pointer) }

  static func require(_ handle: OpaquePointer?, _ status: bsoup_status) throws(Failure) -> OpaquePointer {
    try Failure.check(status)
    guard let handle else { throw Failure(message: "the library gave no handle") }
    return handle
  }
}
