import Glibc
import JSON
import Platform

/// Names and a number for each, in checked memory: filled, then sorted, then looked up by binary search.
///
/// Sorted rather than hashed, because files choose the names, and every hash has names that make it slow.
struct NameTable: ~Copyable {
  struct Record: BitwiseCopyable {
    fileprivate var start: UInt32
    fileprivate var count: UInt32
    /// The number that goes with the name.
    var value: UInt64
  }

  private var records: Vector<Record>
  private var text: Vector<UInt8>

  init(allocator: Allocator) throws(BoneSoupError) {
    let records = try Vector<Record>(capacity: 256, allocator: allocator, purpose: "the index of tensor names")
    text = try Vector(capacity: 8192, allocator: allocator, purpose: "the tensor names")
    self.records = records
  }

  var count: Int { records.count }

  /// Makes room for that many names of usual length at once.
  mutating func reserve(_ count: Int) throws(BoneSoupError) {
    try records.reserve(count)
    try text.reserve(48 * count)
  }

  /// The number of the record at `index`, which is below `count`.
  func value(at index: Int) -> UInt64 { records[index].value }

  /// The name's bytes; valid until the next append.
  func name(at index: Int) -> UnsafeRawBufferPointer { bytes(of: records[index]) }

  mutating func append(_ name: JSONValue, value: UInt64) throws(BoneSoupError) {
    let start = text.count
    try name.appendText(to: &text)
    try finish(from: start, value: value)
  }

  mutating func append(_ name: UnsafeRawBufferPointer, value: UInt64) throws(BoneSoupError) {
    let start = text.count
    try text.append(contentsOf: name.bindMemory(to: UInt8.self))
    try finish(from: start, value: value)
  }

  private mutating func finish(from start: Int, value: UInt64) throws(BoneSoupError) {
    guard text.count <= Int(UInt32.max) else { throw .unsupported("the tensor names have more than 4 GiB") }
    try records.append(
      Record(
        start: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: text.count - start), value: value))
  }

  /// To be called once all names are in. Returns the index of a name that is there twice, or nil.
  mutating func sort(monitor: Monitor) throws(BoneSoupError) -> Int? {
    let base = UnsafeRawPointer(text.elements)
    try heapSort(UnsafeMutableBufferPointer(start: records.elements, count: records.count), monitor: monitor) {
      let (left, right) = ($0, $1)
      return Self.compare(Self.bytes(of: left, in: base), Self.bytes(of: right, in: base)) < 0
    }
    for index in 0..<max(records.count - 1, 0) {
      if index % 65_536 == 0 { try monitor.check() }
      if Self.compare(name(at: index), name(at: index + 1)) == 0 { return index }
    }
    return nil
  }

  /// The index of a name in the sorted table.
  func index(of name: UnsafeRawBufferPointer) -> Int? {
    var low = 0
    var high = records.count
    while low < high {
      let middle = (low + high) / 2
      let order = Self.compare(self.name(at: middle), name)
      if order == 0 { return middle }
      if order < 0 { low = middle + 1 } else { high = middle }
    }
    return nil
  }

  private func bytes(of record: Record) -> UnsafeRawBufferPointer {
    Self.bytes(of: record, in: UnsafeRawPointer(text.elements))
  }

  private static func bytes(of record: Record, in base: UnsafeRawPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + Int(record.start), count: Int(record.count))
  }

  /// Lexicographic order of the bytes: negative, 0 or positive.
  private static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    guard let leftStart = left.baseAddress, let rightStart = right.baseAddress else { return left.count - right.count }
    let order = memcmp(leftStart, rightStart, min(left.count, right.count))
    return order != 0 ? Int(order) : left.count - right.count
  }
}
