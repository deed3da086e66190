import Checkpoints
import Platform

/// SHA-256 of files' contents, each taken once in a process: a file of the same identity has the same contents.
enum ContentHash {
  private static let known = Locked<[FileIdentity: SHA256.Digest]>([:])
  /// More than any soup has files.
  private static let capacity = 65_536

  static func digest(of file: FileBytes, monitor: Monitor) throws(BoneSoupError) -> SHA256.Digest {
    if let digest = known.withLock({ $0[file.identity] }) { return digest }
    var hash = SHA256()
    let piece = 4 << 20
    for start in stride(from: 0, to: file.bytes.count, by: piece) {
      try monitor.check()
      hash.update(UnsafeRawBufferPointer(rebasing: file.bytes[start..<min(start + piece, file.bytes.count)]))
    }
    let digest = hash.digest
    known.withLock { if $0.count < capacity { $0[file.identity] = digest } }
    return digest
  }

  /// Of several files, side by side.
  static func digests(
    of files: [FileBytes], pool: ThreadPool, monitor: Monitor
  ) throws(BoneSoupError) -> [SHA256.Digest] {
    let quiet = monitor.silent
    let found = Locked<[Int: SHA256.Digest]>([:])
    try Workers(pool: pool, count: files.count).runThrowing(monitor: quiet) { (index, _) throws(BoneSoupError) in
      let digest = try digest(of: files[index], monitor: quiet)
      found.withLock { $0[index] = digest }
    }
    let all = found.withLock { $0 }
    return files.indices.compactMap { all[$0] }
  }
}
