import Kernels
public import Platform
import Synchronization

/// Writes tensors to one safetensors file, or to shards with an index, at any place and from any thread.
///
/// The files are those of Hugging Face's `save_pretrained`: `__metadata__` {"format": "pt"}, headers padded to eight
/// bytes, `model-00001-of-00002.safetensors` with `model.safetensors.index.json` where one file would be too large.
/// In each file the tensors of four bytes an element come first, so that all lie aligned.
public final class SafetensorsWriter: Sendable {
  /// As transformers has it.
  public static let defaultShardBytes = 5_000_000_000

  private struct Place: BitwiseCopyable {
    var shard: Int
    /// From the start of the shard's data.
    var offset: Int
  }

  private let tensors: TensorList
  private let places: Buffer
  private let shards: [Shard]
  private let written = Atomic<Int>(0)

  private struct Shard: Sendable {
    let name: String
    let file: OutputFile
    let dataStart: Int
  }

  /// Creates the files with their headers, and the index.
  ///
  /// - Parameters:
  ///   - stem: "model" or "adapter_model".
  ///   - shardBytes: data of one file at most, unless a single tensor is larger; nil is one file.
  public init(
    _ tensors: TensorList, in folder: OutputFolder, stem: String = "model",
    shardBytes: Int? = SafetensorsWriter.defaultShardBytes, monitor: Monitor = .none
  ) throws(BoneSoupError) {
    try tensors.checkNames(monitor: monitor)
    self.tensors = tensors
    places = try Buffer(
      of: Place.self, count: tensors.count, allocator: tensors.allocator, purpose: "the places of tensors")
    let place = places.elements(Place.self)
    let shardCount = Self.assign(tensors, shardBytes: shardBytes, to: place)
    guard shardCount < 100_000 else { throw .unsupported("\(shardCount) shards are too many; make them larger") }
    var shards: [Shard] = []
    for number in 0..<shardCount {
      try monitor.check()
      let name =
        shardCount == 1
        ? "\(stem).safetensors" : "\(stem)-\(Self.five(number + 1))-of-\(Self.five(shardCount)).safetensors"
      var header = try Self.header(tensors, place, shard: number)
      var length = UInt64(header.count).littleEndian
      let (size, overflow) = (8 + header.count).addingReportingOverflow(Self.dataBytes(tensors, place, shard: number))
      guard !overflow else { throw .invalidArgument("\(name) would be too large") }
      let file = try folder.create(name, byteCount: size)
      try withUnsafeBytes(of: &length) { (bytes) throws(BoneSoupError) in try file.write(bytes, at: 0) }
      try file.write(UnsafeRawBufferPointer(header.span), at: 8)
      shards.append(Shard(name: name, file: file, dataStart: 8 + header.count))
      header.removeAll()
    }
    self.shards = shards
    if shardCount > 1 { try writeIndex(in: folder, name: "\(stem).safetensors.index.json") }
  }

  /// Writes a part of a tensor: `offset` bytes from its start. Any thread; each byte is to be written once.
  public func write(
    _ bytes: UnsafeRawBufferPointer, tensor: Int, at offset: Int = 0
  ) throws(BoneSoupError) {
    guard offset >= 0, bytes.count <= tensors.byteCount(at: tensor) - offset else {
      throw .internalFault("\(bytes.count) bytes at \(offset) are outside of \(shortName(tensors.name(at: tensor)))")
    }
    let place = places.elements(Place.self)[tensor]
    let shard = shards[place.shard]
    let start = shard.dataStart + place.offset + offset
    try shard.file.write(bytes, at: start)
    written.wrappingAdd(bytes.count, ordering: .relaxed)
    if bytes.count >= 1 << 16 { shard.file.beginSync(from: start, count: bytes.count) }
  }

  /// Has the system begin to write a tensor to the disk, when all of it is written here.
  public func beginSync(tensor: Int) {
    let place = places.elements(Place.self)[tensor]
    let shard = shards[place.shard]
    shard.file.beginSync(from: shard.dataStart + place.offset, count: tensors.byteCount(at: tensor))
  }

  /// Throws where bytes are missing.
  public func finish() throws(BoneSoupError) {
    let count = written.load(ordering: .acquiring)
    guard count == tensors.byteCount else {
      throw .internalFault("\(count) of \(tensors.byteCount) bytes of tensors were written")
    }
  }

  /// Gives each tensor its shard and offset; returns the number of shards.
  private static func assign(
    _ tensors: TensorList, shardBytes: Int?, to places: UnsafeMutablePointer<Place>
  ) -> Int {
    var shard = 0
    var size = 0
    for index in 0..<tensors.count {
      let bytes = tensors.byteCount(at: index)
      if let shardBytes, size > 0, bytes > shardBytes - min(size, shardBytes) {
        shard += 1
        size = 0
      }
      places[index] = Place(shard: shard, offset: 0)
      size += bytes
    }
    var offsets = [Int](repeating: 0, count: shard + 1)
    for width in [4, 2] {
      for index in 0..<tensors.count where tensors.type(at: index).byteCount == width {
        places[index].offset = offsets[places[index].shard]
        offsets[places[index].shard] += tensors.byteCount(at: index)
      }
    }
    return shard + 1
  }

  private static func dataBytes(_ tensors: TensorList, _ places: UnsafePointer<Place>, shard: Int) -> Int {
    (0..<tensors.count).reduce(0) { places[$1].shard == shard ? $0 + tensors.byteCount(at: $1) : $0 }
  }

  private static func header(
    _ tensors: TensorList, _ places: UnsafePointer<Place>, shard: Int
  ) throws(BoneSoupError) -> Vector<UInt8> {
    var text = try Vector<UInt8>(capacity: 1 << 16, allocator: tensors.allocator, purpose: "a safetensors header")
    try text.append(text: #"{"__metadata__":{"format":"pt"}"#)
    for index in 0..<tensors.count where places[index].shard == shard {
      let offset = places[index].offset
      try text.append(text: ",")
      try text.appendJSON(string: tensors.name(at: index))
      let shape = tensors.shape(at: index).map(String.init).joined(separator: ",")
      let type = SafetensorsType.name(tensors.type(at: index))
      let end = offset + tensors.byteCount(at: index)
      try text.append(text: #":{"dtype":"\#(type)","shape":[\#(shape)],"data_offsets":[\#(offset),\#(end)]}"#)
    }
    try text.append(text: "}")
    while text.count % 8 != 0 { try text.append(text: " ") }
    guard text.count <= Safetensors.maximumHeaderBytes else {
      throw .unsupported("a header of \(text.count) bytes is more than readers of safetensors take; use smaller shards")
    }
    return text
  }

  private func writeIndex(in folder: OutputFolder, name: String) throws(BoneSoupError) {
    var text = try Vector<UInt8>(capacity: 1 << 16, allocator: tensors.allocator, purpose: "an index of shards")
    try text.append(text: "{\n  \"metadata\": {\n    \"total_size\": \(tensors.byteCount)\n  },\n  \"weight_map\": {\n")
    for index in 0..<tensors.count {
      try text.append(text: "    ")
      try text.appendJSON(string: tensors.name(at: index))
      let shard = shards[places.elements(Place.self)[index].shard].name
      try text.append(text: ": \"\(shard)\"" + (index + 1 < tensors.count ? ",\n" : "\n"))
    }
    try text.append(text: "  }\n}\n")
    try folder.write(name, UnsafeRawBufferPointer(text.span))
  }

  private static func five(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }
}
