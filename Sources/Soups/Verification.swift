import Checkpoints
public import Platform
public import Transformer

/// Checks that a host asks for when it opens files: contents against checksums, weights against NaN.
extension Checksum {
  /// Throws `.checksum` where the file differs.
  func verify(in folder: FileProvider, engine: Engine, monitor: Monitor) throws(BoneSoupError) {
    let file = try folder.open(path, allocator: engine.allocator, monitor: monitor.silent)
    var hash = SHA256()
    let piece = 4 << 20
    for start in stride(from: 0, to: file.bytes.count, by: piece) {
      try monitor.check()
      hash.update(UnsafeRawBufferPointer(rebasing: file.bytes[start..<min(start + piece, file.bytes.count)]))
    }
    guard hash.digest == digest else {
      throw .checksum("\(file.name) hashes to sha256:\(hash.digest), and soup.json expects sha256:\(digest)")
    }
  }
}

extension Checkpoint {
  /// Throws `.malformed` for the first NaN or infinity.
  func requireFinite(engine: Engine, monitor: Monitor) throws(BoneSoupError) {
    for index in 0..<count { try tensor(at: index).requireFinite(engine: engine, monitor: monitor) }
  }
}

extension Backbone {
  public func requireFinite(engine: Engine, monitor: Monitor) throws(BoneSoupError) {
    switch content {
    case .full(let checkpoint): try checkpoint.requireFinite(engine: engine, monitor: monitor)
    case .lowRank(let adapter):
      for module in adapter.modules {
        try module.down.requireFinite(engine: engine, monitor: monitor)
        try module.up.requireFinite(engine: engine, monitor: monitor)
      }
    }
  }
}

extension TensorView {
  fileprivate func requireFinite(engine: Engine, monitor: Monitor) throws(BoneSoupError) {
    guard count > 0 else { return }
    let first = try start()
    let piece = 1 << 20
    for begin in stride(from: 0, to: count, by: piece) {
      try monitor.check()
      let found = engine.kernels.firstNonFinite(
        type: type, source: first + begin * type.byteCount, count: min(piece, count - begin))
      if let found {
        throw .malformed("\(file): the tensor \(name) holds NaN or infinity at element \(begin + found)")
      }
    }
  }
}
