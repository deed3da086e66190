import Glibc
import Platform

/// The contents of one file: mapped, in memory of our own, or the host's memory. Freed with the object.
public final class FileBytes: @unchecked Sendable {
  /// Names the file in messages: its path, or its name in the host's table.
  public let name: String
  public let identity: FileIdentity
  /// Valid as long as the object: `open(…).bytes` without holding the file dangles.
  public let bytes: UnsafeRawBufferPointer
  private let isMapped: Bool
  private let owner: AnyObject?
  /// The file of a mapping.
  private let disk: DiskFile?

  private init(
    name: String, identity: FileIdentity, bytes: UnsafeRawBufferPointer, isMapped: Bool, owner: AnyObject?,
    disk: DiskFile? = nil
  ) {
    self.name = name
    self.identity = identity
    self.bytes = bytes
    self.isMapped = isMapped
    self.owner = owner
    self.disk = disk
  }

  /// Over a mapping, which the object unmaps at its end.
  convenience init(name: String, identity: FileIdentity, mapping: UnsafeRawBufferPointer, disk: DiskFile) {
    self.init(name: name, identity: identity, bytes: mapping, isMapped: true, owner: nil, disk: disk)
  }

  convenience init(name: String, identity: FileIdentity, buffer: Buffer) {
    self.init(name: name, identity: identity, bytes: buffer.bytes, isMapped: false, owner: buffer)
  }

  /// Over memory of the host, valid as long as `owner`.
  convenience init(name: String, identity: FileIdentity, borrowed: UnsafeRawBufferPointer, owner: AnyObject) {
    self.init(name: name, identity: identity, bytes: borrowed, isMapped: false, owner: owner)
  }

  deinit {
    if isMapped, let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
  }

  /// Copies a range out. A mapped file is read by its descriptor, so that one that was cut short is an error here and not a
  /// signal. Any thread.
  ///
  /// - Parameter range: inside `bytes`.
  public func copy(_ range: Range<Int>, to destination: UnsafeMutableRawPointer) throws(BoneSoupError) {
    guard range.lowerBound >= 0, range.upperBound <= bytes.count else {
      throw .internalFault("\(name): the bytes \(range) are outside its \(bytes.count)")
    }
    let target = UnsafeMutableRawBufferPointer(start: destination, count: range.count)
    if let disk { return try disk.fill(target, from: range.lowerBound) }
    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
  }

  /// Throws where a mapped file has been changed since it was opened; what is in memory does not change.
  public func requireUnchanged() throws(BoneSoupError) { try disk?.requireUnchanged() }

  /// Lets the system take back the pages that lie wholly inside `range`; reading them again reads the file again.
  /// Does nothing where the file is not mapped or the range not inside it.
  public func dropBehind(_ range: UnsafeRawBufferPointer) {
    guard isMapped, let base = bytes.baseAddress, let start = range.baseAddress, start >= base,
      range.count <= bytes.count, start - base <= bytes.count - range.count
    else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let first = (start - base + page - 1) / page * page
    let last = (start - base + range.count) / page * page
    guard last > first else { return }
    madvise(UnsafeMutableRawPointer(mutating: base + first), last - first, MADV_DONTNEED)
  }
}
