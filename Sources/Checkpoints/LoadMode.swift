/// How the bytes of large files reach memory.
public enum LoadMode: Sendable {
  /// Files on disk are mapped: opening costs nothing, and processes share the pages. A file that somebody cuts short
  /// while it is mapped raises SIGBUS in the reader, as for every user of `mmap`.
  case map
  /// Everything is read into memory of the engine's allocator.
  case copy
}
