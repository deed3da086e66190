import CBoneSoup
import Platform

/// One call from the host: what every C function does around its own work.
struct Call {
  /// Runs callbacks of the host's, in its floating-point mode.
  let host: FloatingPointControl

  /// Does a function's work; turns an error into its status and the thread's last message.
  static func run(_ body: (Call) throws(BoneSoupError) -> Void) -> bsoup_status {
    ForkGuard.register()
    guard !ForkGuard.isForkedChild else {
      return LastError.record(
        .forked("this process was forked from one that used BoneSoup; use it in the parent, or start it after fork"))
    }
    let call = Call(host: .enter())
    defer { call.host.leave() }
    do throws(BoneSoupError) {
      try body(call)
      return bsoup_status(BSOUP_OK)
    } catch {
      return LastError.record(error)
    }
  }

  /// A function that makes an object: its handle out-parameter is NULL until the object is there.
  static func making<Object: AnyObject>(
    _ target: UnsafeMutablePointer<OpaquePointer?>?, _ name: StaticString,
    _ body: (Call) throws(BoneSoupError) -> Object
  ) -> bsoup_status {
    target?.pointee = nil
    return run { (call) throws(BoneSoupError) in
      let target = try Arguments.required(target, name)
      try Handles.give(try body(call), to: target)
    }
  }

  /// A function that tells a number of bytes: 0 until it is known.
  static func measuring(
    _ target: UnsafeMutablePointer<UInt64>?, _ body: (Call) throws(BoneSoupError) -> Int
  ) -> bsoup_status {
    target?.pointee = 0
    return run { (call) throws(BoneSoupError) in
      let target = try Arguments.required(target, "bytes")
      target.pointee = UInt64(max(0, try body(call)))
    }
  }

  /// Does the work of a function that cannot fail, such as `_free`; in a forked child it does nothing.
  static func runQuietly(_ body: () -> Void) {
    guard !ForkGuard.isForkedChild else { return }
    let control = FloatingPointControl.enter()
    defer { control.leave() }
    body()
  }
}

extension BoneSoupError {
  /// The pinned number of the C API.
  var status: bsoup_status {
    let number =
      switch self {
      case .invalidArgument: BSOUP_INVALID_ARGUMENT
      case .outOfMemory: BSOUP_OUT_OF_MEMORY
      case .notFound: BSOUP_NOT_FOUND
      case .io: BSOUP_IO
      case .malformed: BSOUP_MALFORMED
      case .unsupported: BSOUP_UNSUPPORTED
      case .mismatch: BSOUP_MISMATCH
      case .cancelled: BSOUP_CANCELLED
      case .busy: BSOUP_BUSY
      case .contextFull: BSOUP_CONTEXT_FULL
      case .staleHandle: BSOUP_STALE_HANDLE
      case .guardRail: BSOUP_GUARD_RAIL
      case .unsolvable: BSOUP_UNSOLVABLE
      case .notReady: BSOUP_NOT_READY
      case .checksum: BSOUP_CHECKSUM
      case .forked: BSOUP_FORKED
      case .internalFault: BSOUP_INTERNAL
      }
    return bsoup_status(number)
  }
}
