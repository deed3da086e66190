import JSON
import Platform

extension Checkpoint {
  /// The largest published checkpoints have some hundreds.
  static let maximumShards = 4096
  private static let maximumIndexBytes = 100_000_000

  /// Opens the shards that the index names, and finds each of its tensors in its shard: fills `names`.
  static func openShards(
    _ folder: FileProvider, into names: inout NameTable, allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) -> [Safetensors] {
    let index = try folder.json(
      indexName, maximumBytes: maximumIndexBytes, allocator: allocator, monitor: monitor.part(from: 0, to: 0))
    let map = try index.root.object("weight_map")
    let shards = try shardNames(map, monitor: monitor)
    var files: [Safetensors] = []
    for (number, name) in shards.enumerated() {
      let count = Double(shards.count)
      let part = monitor.part(from: Double(number) / count, to: Double(number + 1) / count)
      guard folder.exists(name) else {
        throw .notFound("\(index.file): the shard \(folder.describe(name)) does not exist")
      }
      let file = try folder.open(name, allocator: allocator, monitor: part)
      files.append(try Safetensors(file, allocator: allocator, monitor: part))
    }
    var numbers: [String: Int] = [:]
    for (number, name) in shards.enumerated() { numbers[name] = number }
    try resolve(
      map, of: index.file, shards: numbers, files: files, into: &names, allocator: allocator, monitor: monitor)
    return files
  }

  /// The distinct shards, in the order in which the map first names them.
  private static func shardNames(_ map: JSONValue, monitor: Monitor) throws(BoneSoupError) -> [String] {
    var names: [String] = []
    var seen: Set<String> = []
    var read = 0
    for member in try map.members {
      read += 1
      if read % 4096 == 0 { try monitor.check() }
      let name = try member.value.text(maxBytes: 255)
      guard !seen.contains(name) else { continue }
      guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0)
      else { throw member.value.malformed("must name a file in the same folder, is \"\(name.prefix(200))\"") }
      guard names.count < maximumShards else {
        throw map.unsupported("names more than \(maximumShards) shards")
      }
      seen.insert(name)
      names.append(name)
    }
    return names
  }

  private static func resolve(
    _ map: JSONValue, of index: String, shards: [String: Int], files: [Safetensors], into names: inout NameTable,
    allocator: Allocator, monitor: Monitor
  ) throws(BoneSoupError) {
    var decoded = try Vector<UInt8>(capacity: 256, allocator: allocator, purpose: "a tensor's name")
    for member in try map.members {
      if names.count % 4096 == 0 { try monitor.check() }
      decoded.removeAll()
      try member.key.appendText(to: &decoded)
      let name = UnsafeRawBufferPointer(decoded.span)
      guard let shard = shards[try member.value.text(maxBytes: 255)] else {
        throw member.value.malformed("names a shard that was not there before: the file changed while it was read")
      }
      guard let place = files[shard].index(of: name) else {
        throw .malformed(
          "\(index): the tensor \(shortName(name)) is not in its shard \(files[shard].file.name)")
      }
      try names.append(name, value: UInt64(shard) << 32 | UInt64(place))
    }
    if let twice = try names.sort(monitor: monitor) {
      throw map.malformed("lists the tensor \(shortName(names.name(at: twice))) twice")
    }
  }
}
