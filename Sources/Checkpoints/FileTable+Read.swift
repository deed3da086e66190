import Platform

extension FileTable {
  /// The contents of the entry at `position`.
  func read(
    _ position: Int, mode: LoadMode, maximumBytes: Int, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) -> FileBytes {
    let entry = entries[position]
    let name = FilePath.normalise(entry.name) ?? entry.name
    let identity = FileIdentity.table(serial: serial, index: position)
    try FileCopy.requireSize(entry.size, of: name, maximum: maximumBytes)
    if case .buffer(let bytes) = entry.contents, mode == .map {
      return FileBytes(name: name, identity: identity, borrowed: bytes, owner: self)
    }
    let buffer = try FileCopy.read(name: name, size: entry.size, allocator: allocator, monitor: monitor) {
      (offset, destination) throws(BoneSoupError) in
      switch entry.contents {
      case .buffer(let bytes):
        destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + destination.count]))
      case .readAt(let readAt, let context, let host):
        let read = { readAt(context, UInt64(offset), destination.baseAddress, destination.count) }
        let status = host?.asHost(read) ?? read()
        guard status == 0 else {
          throw .io("read_at of \(name) failed with \(status) for \(destination.count) bytes from \(offset) on")
        }
      }
    }
    return FileBytes(name: name, identity: identity, buffer: buffer)
  }
}
