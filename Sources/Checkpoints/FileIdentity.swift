/// What tells two files apart inside one process without reading them.
public enum FileIdentity: Hashable, Sendable {
  /// A file on disk; a change of its contents shows in size or time (nanoseconds since 1970).
  case file(device: UInt64, inode: UInt64, size: Int, modified: Int64)
  /// A file of a host's table: the serial number of the table in this process, and the file's place in it.
  case table(serial: Int, index: Int)
}
