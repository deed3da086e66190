import CBoneSoup
import Platform
import Transformer

extension Call {
  /// A host's progress callback, told of nothing that would be a step back; nil without one.
  ///
  /// - Parameter isOnCallersThread: false where it runs on a thread of the library's, which has no mode of the host's.
  func progress(
    _ callback: bsoup_progress_fn?, _ context: UnsafeMutableRawPointer?, isOnCallersThread: Bool = true
  ) -> ((Double) -> Bool)? {
    guard let callback else { return nil }
    var furthest = 0.0
    return { share in
      furthest = max(furthest, share)
      return isOnCallersThread
        ? host.asHost { callback(furthest, context) } == 0 : callback(furthest, context) == 0
    }
  }

  /// A remark for the host's log.
  func log(_ level: Log.Level, _ line: String, _ engine: Engine) {
    host.asHost { engine.log.write(level, line) }
  }

  /// What a long call looks at and reports to.
  func monitor(
    _ cancel: OpaquePointer?, _ callback: bsoup_progress_fn? = nil, _ context: UnsafeMutableRawPointer? = nil
  ) throws(BoneSoupError) -> Monitor {
    Monitor(token: try Handles.token(cancel), progress: progress(callback, context))
  }
}
