import CBoneSoup
import Platform

extension Call {
  /// A host's progress callback; nil without one.
  ///
  /// - Parameter isOnCallersThread: false where it runs on a thread of the library's, which has no mode of the host's.
  func progress(
    _ callback: bsoup_progress_fn?, _ context: UnsafeMutableRawPointer?, isOnCallersThread: Bool = true
  ) -> ((Double) -> Bool)? {
    guard let callback else { return nil }
    guard isOnCallersThread else { return { callback($0, context) == 0 } }
    return { share in host.asHost { callback(share, context) } == 0 }
  }

  /// What a long call looks at and reports to.
  func monitor(
    _ cancel: OpaquePointer?, _ callback: bsoup_progress_fn? = nil, _ context: UnsafeMutableRawPointer? = nil
  ) throws(BoneSoupError) -> Monitor {
    Monitor(token: try Handles.token(cancel), progress: progress(callback, context))
  }
}
