import Checkpoints
import Platform

/// The files that an export comes from, for its card.
struct ExportSources {
  /// "base" or "backbone 0", the file, and whether it is read whole, so that its hash costs little more.
  private var files: [(owner: String, file: FileBytes, isRead: Bool)] = []

  /// Base and backbones that have a part in the blend.
  init(_ mix: WeightMix, readsBase: Bool) {
    for file in mix.base.checkpoint.sources { files.append(("base", file, readsBase)) }
    for (index, backbone) in mix.backbones.enumerated() where mix.coefficients[index] != 0 {
      for file in backbone.sources { files.append(("backbone \(index)", file, true)) }
    }
  }

  func list(
    hashed: Bool, pool: ThreadPool, monitor: Monitor
  ) throws(BoneSoupError) -> [(name: String, byteCount: Int, digest: SHA256.Digest?)] {
    let read = files.filter { hashed && $0.isRead }
    let digests = try ContentHash.digests(of: read.map(\.file), pool: pool, monitor: monitor)
    var next = digests.makeIterator()
    return files.map { owner, file, isRead in
      let name = file.name.split(separator: "/").last.map(String.init) ?? file.name
      return ("\(owner): \(name)", file.bytes.count, hashed && isRead ? next.next() : nil)
    }
  }
}
