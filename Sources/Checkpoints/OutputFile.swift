import CIntrinsics
import Glibc
public import Platform

/// A new file that is written at given places, by any number of threads at once. Closed with the object.
public final class OutputFile: Sendable {
  private let path: String
  private let descriptor: Int32
  /// Bytes that the file will have.
  public let byteCount: Int

  /// Creates the file, which must not exist, and takes its room on the disk at once, so that a full disk shows here.
  init(_ path: String, byteCount: Int) throws(BoneSoupError) {
    var descriptor: Int32
    repeat {
      descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
    } while descriptor < 0 && errno == EINTR
    guard descriptor >= 0 else { throw Self.failure(path, "cannot be created") }
    self.path = path
    self.descriptor = descriptor
    self.byteCount = byteCount
    guard byteCount > 0 else { return }
    var code: Int32
    repeat { code = posix_fallocate(descriptor, 0, byteCount) } while code == EINTR
    errno = code
    // Not every file system can; there a full disk shows when it is written to.
    if code != 0, code != EOPNOTSUPP, code != EINVAL { throw Self.failure(path, "cannot get \(byteCount) bytes") }
  }

  deinit { close(descriptor) }

  /// Writes all bytes at an offset from the start. Any thread.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(BoneSoupError) {
    guard offset >= 0, bytes.count <= byteCount, offset <= byteCount - bytes.count else {
      throw .internalFault("\(path): \(bytes.count) bytes at \(offset) are outside its \(byteCount)")
    }
    guard let start = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      let count = pwrite(descriptor, start + done, bytes.count - done, offset + done)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw Self.failure(path, "cannot be written") }
      done += count
    }
  }

  /// Has the system begin to write these bytes to the disk, so that there is less to wait for at the end.
  public func beginSync(from offset: Int, count: Int) {
    bsp_begin_sync(descriptor, Int64(offset), Int64(count))
  }

  /// Waits until all bytes are on the disk.
  func sync() throws(BoneSoupError) {
    guard fsync(descriptor) == 0 else { throw Self.failure(path, "cannot be written to the disk") }
  }

  /// From `errno`, which the failed call has just set.
  static func failure(_ path: String, _ what: String) -> BoneSoupError {
    let code = errno
    let advice =
      switch code {
      case ENOSPC: ": the disk is full; make room or choose another folder"
      case EDQUOT: ": the quota of this user on the disk is used up"
      case ENOENT: ": its folder does not exist"
      default: ": " + String(cString: strerror(code))
      }
    return .io("\(path) \(what)\(advice)")
  }
}
