import JSON
import Kernels
import Platform

extension Safetensors {
  func readHeader(monitor: Monitor) throws(BoneSoupError) {
    let bytes = file.bytes
    guard bytes.count >= 8 else {
      throw .malformed("\(file.name) has \(bytes.count) bytes; a safetensors file starts with 8 of header length")
    }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(Self.maximumHeaderBytes) else {
      throw .malformed(
        "\(file.name) gives its header \(length) bytes; at most \(Self.maximumHeaderBytes) are possible, "
          + "so this is no safetensors file")
    }
    let dataStart = 8 + Int(length)
    guard dataStart <= bytes.count else {
      throw .malformed("\(file.name) has \(bytes.count) bytes; its header alone has \(length): the file is cut short")
    }
    guard length > 0, bytes[8] == UInt8(ascii: "{") else {
      throw .malformed("\(file.name) has a header that does not start with '{': this is no safetensors file")
    }
    let header = try JSONDocument(
      UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]), owner: file, file: file.name,
      maximumBytes: Self.maximumHeaderBytes, maximumDepth: 8, allocator: allocator, monitor: monitor)
    try entries.reserve(header.root.count)
    try dimensions.reserve(2 * header.root.count)
    try names.reserve(header.root.count)
    var read = 0
    for member in try header.root.members {
      read += 1
      if read % 4096 == 0 { try monitor.check() }
      if member.key.equals("__metadata__") {
        _ = try member.value.members
        continue
      }
      try readEntry(member, dataStart: dataStart)
    }
    if let twice = try names.sort(monitor: monitor) {
      throw .malformed("\(file.name): the tensor \(shortName(names.name(at: twice))) is listed twice")
    }
    try requireCoverage(from: dataStart, monitor: monitor)
  }

  private func readEntry(_ member: JSONMembers.Member, dataStart: Int) throws(BoneSoupError) {
    var typeMember: JSONValue?
    var shapeMember: JSONValue?
    var offsetsMember: JSONValue?
    for field in try member.value.members {
      if field.key.equals("dtype") {
        try Self.set(&typeMember, field.value)
      } else if field.key.equals("shape") {
        try Self.set(&shapeMember, field.value)
      } else if field.key.equals("data_offsets") {
        try Self.set(&offsetsMember, field.value)
      }
    }
    guard let typeMember, let shapeMember, let offsetsMember else {
      throw member.value.malformed("must have dtype, shape and data_offsets")
    }
    let typeName = try typeMember.text(maxBytes: 32)
    let shapeStart = dimensions.count
    let count = try readShape(shapeMember)
    let (begin, end) = try readOffsets(offsetsMember, dataStart: dataStart)
    if let bits = SafetensorsType.bits(typeName) {
      let (size, overflow) = count.multipliedReportingOverflow(by: bits)
      guard !overflow, size % 8 == 0, size / 8 == end - begin else {
        let shape = TensorView.describe((shapeStart..<dimensions.count).map { dimensions[$0] })
        throw member.value.malformed(
          "has \(end - begin) bytes of data, which the shape \(shape) of \(typeName) does not make")
      }
    }
    let typeText = typeMember.rawBytes
    let typeStart = typeText.baseAddress.flatMap { start in file.bytes.baseAddress.map { start - $0 } } ?? 0
    try names.append(member.key, value: UInt64(entries.count))
    try entries.append(
      SafetensorsEntry(
        begin: begin, end: end, shapeStart: shapeStart, rank: dimensions.count - shapeStart, typeStart: typeStart,
        typeCount: typeText.count, type: SafetensorsType.elementType(typeName)?.rawValue))
  }

  private static func set(_ field: inout JSONValue?, _ value: JSONValue) throws(BoneSoupError) {
    guard field == nil else { throw value.malformed("is given twice") }
    field = value
  }

  /// Appends the dimensions, and returns their product.
  private func readShape(_ value: JSONValue) throws(BoneSoupError) -> Int {
    let elements = try value.elements
    guard value.count <= TensorView.maximumRank else {
      throw value.malformed("has \(value.count) dimensions; at most \(TensorView.maximumRank) are possible")
    }
    var product = 1
    for element in elements {
      let dimension = try element.int(in: 0...Int.max)
      let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
      guard !overflow else { throw value.malformed("has a product that 64 bits cannot hold") }
      product = next
      try dimensions.append(dimension)
    }
    return product
  }

  /// Begin and end of the data, from the start of the file.
  private func readOffsets(_ value: JSONValue, dataStart: Int) throws(BoneSoupError) -> (Int, Int) {
    let available = file.bytes.count - dataStart
    var offsets = try value.elements.makeIterator()
    guard value.count == 2, let first = offsets.next(), let second = offsets.next() else {
      throw value.malformed("must be two numbers, has \(value.count)")
    }
    let begin = try first.int(in: 0...Int.max)
    let end = try second.int(in: 0...Int.max)
    guard begin <= end else { throw value.malformed("has a begin of \(begin) after its end of \(end)") }
    guard end <= available else {
      throw value.malformed("ends at \(end), but the file has \(available) bytes of data: it is cut short or damaged")
    }
    return (dataStart + begin, dataStart + end)
  }

  /// Throws unless the tensors, in the order of their data, follow each other from the first byte to the last.
  private func requireCoverage(from dataStart: Int, monitor: Monitor) throws(BoneSoupError) {
    var order = try Vector<UInt32>(capacity: names.count, allocator: allocator, purpose: "the order of tensors")
    for index in 0..<names.count { try order.append(UInt32(index)) }
    try heapSort(UnsafeMutableBufferPointer(start: order.elements, count: order.count), monitor: monitor) {
      let (left, right) = (self.entry(Int($0)), self.entry(Int($1)))
      return (left.begin, left.end, $0) < (right.begin, right.end, $1)
    }
    var expected = dataStart
    for position in 0..<order.count {
      let index = Int(order[position])
      guard entry(index).begin == expected else {
        let what = entry(index).begin < expected ? "overlaps the one before it" : "leaves a gap before it"
        throw .malformed(
          "\(file.name): the tensor \(shortName(names.name(at: index))) \(what): it begins at "
            + "\(entry(index).begin - dataStart), and the data so far ends at \(expected - dataStart)")
      }
      expected = entry(index).end
    }
    guard expected == file.bytes.count else {
      throw .malformed(
        "\(file.name) has \(file.bytes.count - expected) bytes after the data of its last tensor; "
          + "they belong to no tensor")
    }
  }

  private func entry(_ nameIndex: Int) -> SafetensorsEntry { entries[Int(names.value(at: nameIndex))] }
}
