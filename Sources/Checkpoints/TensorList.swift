public import Kernels
public import Platform

/// The tensors of a checkpoint to be written: name, type and shape of each, in checked memory.
public final class TensorList: @unchecked Sendable {
  /// The longest name that is written.
  static let maximumNameBytes = 4096

  private struct Record: BitwiseCopyable {
    var nameStart: Int
    var nameCount: Int
    var shapeStart: Int
    var rank: Int
    var type: UInt8
    var byteCount: Int
  }

  private var records: Vector<Record>
  private var text: Vector<UInt8>
  private var dimensions: Vector<Int>
  let allocator: Allocator
  /// Bytes of all tensors.
  public private(set) var byteCount = 0

  public init(allocator: Allocator) throws(BoneSoupError) {
    self.allocator = allocator
    records = try Vector(capacity: 256, allocator: allocator, purpose: "the list of tensors")
    text = try Vector(capacity: 8192, allocator: allocator, purpose: "the names of tensors")
    dimensions = try Vector(capacity: 512, allocator: allocator, purpose: "the shapes of tensors")
  }

  public var count: Int { records.count }

  /// Adds a tensor and returns its number. Names are UTF-8; that each is there once is looked at by the writer.
  ///
  /// - Parameter shape: dimensions of 0 and more, up to eight; none for a scalar.
  @discardableResult
  public func append(
    name: UnsafeRawBufferPointer, type: ElementType, shape: [Int]
  ) throws(BoneSoupError) -> Int {
    guard !name.isEmpty, name.count <= Self.maximumNameBytes else {
      throw .invalidArgument("a tensor's name of \(name.count) bytes; 1 to \(Self.maximumNameBytes) are possible")
    }
    guard shape.count <= TensorView.maximumRank, shape.allSatisfy({ $0 >= 0 }) else {
      throw .invalidArgument(
        "the tensor \(shortName(name)) has the shape \(TensorView.describe(shape)); up to \(TensorView.maximumRank) "
          + "dimensions, none negative, are possible")
    }
    var bytes = type.byteCount
    var overflow = false
    for dimension in shape where !overflow { (bytes, overflow) = bytes.multipliedReportingOverflow(by: dimension) }
    let total = byteCount.addingReportingOverflow(bytes)
    guard !overflow, !total.overflow else {
      throw .invalidArgument("the tensor \(shortName(name)) of \(TensorView.describe(shape)) is too large to write")
    }
    let record = Record(
      nameStart: text.count, nameCount: name.count, shapeStart: dimensions.count, rank: shape.count,
      type: type.rawValue, byteCount: bytes)
    try text.append(contentsOf: name.bindMemory(to: UInt8.self))
    for dimension in shape { try dimensions.append(dimension) }
    try records.append(record)
    byteCount = total.partialValue
    return records.count - 1
  }

  @discardableResult
  public func append(_ name: String, type: ElementType, shape: [Int]) throws(BoneSoupError) -> Int {
    var bytes = try Vector<UInt8>(capacity: 64, allocator: allocator, purpose: "a tensor's name")
    try bytes.append(text: name)
    return try append(name: UnsafeRawBufferPointer(bytes.span), type: type, shape: shape)
  }

  /// The name of the tensor at `index`, below `count`; valid until the next append.
  public func name(at index: Int) -> UnsafeRawBufferPointer {
    let record = records[index]
    return UnsafeRawBufferPointer(start: UnsafeRawPointer(text.elements) + record.nameStart, count: record.nameCount)
  }

  public func type(at index: Int) -> ElementType { ElementType(rawValue: records[index].type) ?? .f32 }

  public func shape(at index: Int) -> [Int] {
    let record = records[index]
    return (0..<record.rank).map { dimensions[record.shapeStart + $0] }
  }

  public func byteCount(at index: Int) -> Int { records[index].byteCount }

  /// Throws for a name that is there twice, or that the format keeps for itself.
  func checkNames(monitor: Monitor) throws(BoneSoupError) {
    var names = try NameTable(allocator: allocator)
    for index in 0..<count {
      let name = name(at: index)
      if name.elementsEqual("__metadata__".utf8) {
        throw .invalidArgument("a tensor cannot be called __metadata__: safetensors keeps that name for itself")
      }
      try names.append(name, value: UInt64(index))
    }
    if let twice = try names.sort(monitor: monitor) {
      throw .invalidArgument("the tensor \(shortName(names.name(at: twice))) is there twice")
    }
  }
}
