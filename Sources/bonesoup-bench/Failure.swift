import CBoneSoup

/// What ends the program: a sentence for the person who called it.
struct Failure: Error {
  let message: String
  var exitStatus: Int32 = 1

  /// Throws what the library says where a call failed.
  static func check(_ status: bsoup_status) throws(Failure) {
    guard status != 0 else { return }
    let name = String(cString: bsoup_status_name(status))
    throw Failure(message: "\(String(cString: bsoup_last_error())) (\(name))")
  }
}
