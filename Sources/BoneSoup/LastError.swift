import CBoneSoup
import Glibc
import Platform

/// The message of each thread's last failed call, in memory that its thread owns.
enum LastError {
  private static let capacity = 2048

  /// The key of the threads' messages; nil where the system has none left.
  private static let key: pthread_key_t? = {
    var key = pthread_key_t()
    return pthread_key_create(&key) { free($0) } == 0 ? key : nil
  }()

  /// Keeps the message, cut at a whole character, and gives the status.
  static func record(_ error: BoneSoupError) -> bsoup_status {
    guard let text = memory() else { return error.status }
    var message = error.message
    message.withUTF8 { bytes in
      var count = min(bytes.count, capacity - 1)
      while count > 0, count < bytes.count, bytes[count] & 0xC0 == 0x80 { count -= 1 }
      for index in 0..<count { text[index] = CChar(bitPattern: bytes[index]) }
      text[count] = 0
    }
    return error.status
  }

  /// The calling thread's message; "" before any.
  static func current() -> UnsafePointer<CChar> {
    guard let key, let text = pthread_getspecific(key) else { return StaticText.empty }
    return UnsafePointer(text.assumingMemoryBound(to: CChar.self))
  }

  private static func memory() -> UnsafeMutablePointer<CChar>? {
    guard let key else { return nil }
    if let text = pthread_getspecific(key) { return text.assumingMemoryBound(to: CChar.self) }
    guard let text = malloc(capacity) else { return nil }
    guard pthread_setspecific(key, text) == 0 else {
      free(text)
      return nil
    }
    return text.assumingMemoryBound(to: CChar.self)
  }
}

@c @implementation
public func bsoup_last_error() -> UnsafePointer<CChar>! { LastError.current() }

@c @implementation
public func bsoup_status_name(_ status: bsoup_status) -> UnsafePointer<CChar>! {
  let names: [StaticString] = [
    "BSOUP_OK", "BSOUP_INVALID_ARGUMENT", "BSOUP_OUT_OF_MEMORY", "BSOUP_NOT_FOUND", "BSOUP_IO", "BSOUP_MALFORMED",
    "BSOUP_UNSUPPORTED", "BSOUP_MISMATCH", "BSOUP_CANCELLED", "BSOUP_BUSY", "BSOUP_CONTEXT_FULL", "BSOUP_STALE_HANDLE",
    "BSOUP_GUARD_RAIL", "BSOUP_UNSOLVABLE", "BSOUP_NOT_READY", "BSOUP_CHECKSUM", "BSOUP_FORKED", "BSOUP_INTERNAL",
  ]
  let index = Int(status)
  return StaticText.pointer(names.indices.contains(index) ? names[index] : "unknown status")
}
