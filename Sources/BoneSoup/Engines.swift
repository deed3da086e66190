import CBoneSoup
import Glibc
import Kernels
import Platform
import Transformer

// Chapters 2 and 4 of the header: version, engines, cancelling.

@c @implementation
public func bsoup_abi_version() -> UInt32 { UInt32(BSOUP_ABI_VERSION) }

@c @implementation
public func bsoup_version() -> UnsafePointer<CChar>! { StaticText.pointer("1.0.0") }

@c @implementation
public func bsoup_build_info() -> UnsafePointer<CChar>! { DefaultEngine.buildInfo.pointer }

enum DefaultEngine {
  static let shared = Engine(
    pool: ThreadPool(threadCount: ProcessorSet.count), allocator: Allocator(limit: nil, host: nil))

  static let buildInfo = KeptText(
    "bonesoup 1.0.0, instruction set \(Kernels.detect().instructionSet.rawValue), \(ProcessorSet.count) threads")

  /// The host's engine; the process's own for NULL.
  static func resolve(_ handle: OpaquePointer?) throws(BoneSoupError) -> Engine {
    guard let handle else { return shared }
    return try Handles.take(handle, Engine.self)
  }
}

private var engineDefaults: bsoup_engine_options {
  bsoup_engine_options(
    struct_size: UInt32(MemoryLayout<bsoup_engine_options>.size), thread_count: 0, memory_budget: 0, cpus: nil,
    cpu_count: 0, spin_microseconds: 50, allocate: nil, deallocate: nil, allocator_context: nil, log: nil,
    log_context: nil)
}

@c @implementation
public func bsoup_engine_options_init(_ options: UnsafeMutablePointer<bsoup_engine_options>!, _ struct_size: Int) {
  Structs.initialize(options, struct_size, engineDefaults)
}

@c @implementation
public func bsoup_engine_create(
  _ options: UnsafePointer<bsoup_engine_options>!, _ engine: UnsafeMutablePointer<OpaquePointer?>!
) -> bsoup_status {
  Call.making(engine, "engine") { (call) throws(BoneSoupError) in
    let options = try Structs.read(options, engineDefaults, "bsoup_engine_options")
    guard options.thread_count <= 1024 else {
      throw .invalidArgument("thread_count is \(options.thread_count); at most 1024 are possible")
    }
    let cpus = try Arguments.values(options.cpus, Int(options.cpu_count), "cpus").map(Int.init)
    for cpu in cpus where !ProcessorSet.contains(cpu) {
      throw .invalidArgument("cpus names CPU \(cpu), which this thread may not run on")
    }
    var host: Allocator.Host?
    switch (options.allocate, options.deallocate) {
    case (nil, nil): break
    case (let allocate?, let deallocate?):
      host = Allocator.Host(allocate: allocate, free: deallocate, context: options.allocator_context)
    default: throw .invalidArgument("allocate and deallocate belong together: give both or neither")
    }
    let limit = options.memory_budget == 0 ? nil : Int(clamping: options.memory_budget)
    let threads = options.thread_count == 0 ? ProcessorSet.count : Int(options.thread_count)
    return Engine(
      pool: ThreadPool(threadCount: threads, spinMicroseconds: Int(options.spin_microseconds), cpus: cpus),
      allocator: Allocator(limit: limit, host: host), log: Log(options.log, options.log_context))
  }
}

extension Log {
  /// The host's callback; silent without one.
  fileprivate init(_ callback: bsoup_log_fn?, _ context: UnsafeMutableRawPointer?) {
    guard let callback else {
      self = .silent
      return
    }
    self.init { level, line in line.withCString { callback(level.rawValue, $0, context) } }
  }
}

@c @implementation
public func bsoup_engine_free(_ engine: OpaquePointer!) { Handles.free(engine, Engine.self) }

@c @implementation
public func bsoup_engine_memory(_ engine: OpaquePointer!, _ bytes: UnsafeMutablePointer<UInt64>!) -> bsoup_status {
  Call.measuring(bytes) { (call) throws(BoneSoupError) in try DefaultEngine.resolve(engine).allocator.bytesInUse }
}

@c @implementation
public func bsoup_cancel_create(_ cancel: UnsafeMutablePointer<OpaquePointer?>!) -> bsoup_status {
  cancel?.pointee = nil
  return Call.run { (call) throws(BoneSoupError) in
    let target = try Arguments.required(cancel, "cancel")
    target.pointee = OpaquePointer(bitPattern: UInt(try CancelToken.make().value))
  }
}

/// No lock, no allocation, no look at the thread: a signal handler may be calling.
@c @implementation
public func bsoup_cancel_request(_ cancel: OpaquePointer!) {
  guard let cancel else { return }
  CancelToken(value: UInt64(UInt(bitPattern: cancel))).cancel()
}

@c @implementation
public func bsoup_cancel_free(_ cancel: OpaquePointer!) {
  Call.runQuietly {
    guard let cancel else { return }
    CancelToken(value: UInt64(UInt(bitPattern: cancel))).release()
  }
}
