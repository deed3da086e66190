import JSON
import Kernels
import Platform

/// The tensors of one model, from one safetensors file or from shards with an index. Immutable; any thread may use it.
public final class Checkpoint: @unchecked Sendable {
  static let singleName = "model.safetensors"
  static let indexName = "model.safetensors.index.json"

  /// Names the folder or file in messages.
  public let name: String
  let files: [Safetensors]
  /// For each tensor, its file (high 32 bits) and its number in that file.
  let names: NameTable

  private init(name: String, files: [Safetensors], names: consuming NameTable) {
    self.name = name
    self.files = files
    self.names = names
  }

  /// A model's folder: `model.safetensors`, or else the shards that `model.safetensors.index.json` lists.
  ///
  /// Headers are read and checked whole; tensors are read where they are used, or here, with `LoadMode.copy`.
  public convenience init(
    folder: FileProvider, allocator: Allocator, monitor: Monitor = .none
  ) throws(BoneSoupError) {
    if folder.exists(Self.singleName) {
      try self.init(file: Self.singleName, in: folder, allocator: allocator, monitor: monitor)
    } else if folder.exists(Self.indexName) {
      var names = try NameTable(allocator: allocator)
      let files = try Self.openShards(folder, into: &names, allocator: allocator, monitor: monitor)
      self.init(name: folder.describe(), files: files, names: names)
    } else {
      throw Self.nothingToRead(in: folder)
    }
  }

  /// One safetensors file.
  public convenience init(
    file name: String, in folder: FileProvider, allocator: Allocator, monitor: Monitor = .none
  ) throws(BoneSoupError) {
    if name.hasSuffix(".gguf") || name.hasSuffix(".bin") || name.hasSuffix(".pt") || name.hasSuffix(".pth") {
      throw Self.unsupportedFile(folder.describe(name))
    }
    let file = try Safetensors(
      folder.open(name, allocator: allocator, monitor: monitor), allocator: allocator, monitor: monitor)
    var names = try NameTable(allocator: allocator)
    for index in 0..<file.count { try names.append(file.name(at: index), value: UInt64(index)) }
    self.init(name: file.file.name, files: [file], names: names)
  }

  public var count: Int { names.count }

  /// The name of a tensor, as UTF-8, valid as long as the object; tensors are numbered in the order of their names.
  public func name(at index: Int) -> UnsafeRawBufferPointer { names.name(at: index) }

  /// The tensor at `index`, from 0 to `count` - 1; one of a type that cannot be read is refused.
  public func tensor(at index: Int) throws(BoneSoupError) -> TensorView {
    let value = names.value(at: index)
    return try files[Int(value >> 32)].tensor(at: Int(value & 0xFFFF_FFFF))
  }

  /// Where the tensor of that name is, for `tensor(at:)`; nil where there is none.
  public func index(of name: String) -> Int? {
    var name = name
    return name.withUTF8 { names.index(of: UnsafeRawBufferPointer($0)) }
  }

  /// The tensor of that name, nil where there is none; one of a type that cannot be read is refused.
  public func tensor(_ name: String) throws(BoneSoupError) -> TensorView? {
    guard let index = index(of: name) else { return nil }
    return try tensor(at: index)
  }

  /// The tensor of that name, which must be there and have that shape.
  public func requireTensor(_ name: String, shape: [Int]) throws(BoneSoupError) -> TensorView {
    guard let tensor = try tensor(name) else {
      throw .notFound(
        "\(self.name): the tensor \(name) is missing; one of the shape \(TensorView.describe(shape)) is needed")
    }
    try tensor.require(shape: shape)
    return tensor
  }

  /// All files, in the order in which they were opened.
  public var sources: [FileBytes] { files.map(\.file) }

  /// Of all files, in the order in which they were opened: for fingerprints.
  public var identities: [FileIdentity] { files.map(\.file.identity) }
}
