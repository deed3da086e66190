import Checkpoints
import Kernels
import Platform
import TestSupport
import Testing

@Suite struct SafetensorsTests {
  /// Three tensors, of three types, one of them empty.
  static let sample: [UInt8] = {
    var builder = SafetensorsBuilder()
    builder.add("layer.0.weight", shape: [2, 3], [1, 2, 3, 4, 5, 6])
    builder.add("empty", shape: [0, 4], [])
    builder.add("half", type: "BF16", shape: [2], bytes: [0x80, 0x3F, 0, 0x40])
    builder.add("packed", type: "F8_E4M3", shape: [4], bytes: [1, 2, 3, 4])
    builder.add("strange", type: "Q3_X", shape: [7], bytes: [1, 2, 3, 4])
    return builder.bytes
  }()

  /// A file of one tensor "w" with this description and data.
  static func one(_ description: String, data: Int = 24) -> [UInt8] {
    SafetensorsBuilder.file(header: "{\"w\":{\(description)}}", data: [UInt8](repeating: 0, count: data))
  }

  @Test func tensorsAreFoundByName() throws {
    let file = try openSafetensors(Self.sample)
    #expect(file.count == 5)
    #expect(
      (0..<5).map { String(decoding: file.name(at: $0), as: UTF8.self) }
        == ["empty", "half", "layer.0.weight", "packed", "strange"])
    let tensor = try file.tensor(at: 2)
    #expect(tensor.shape == [2, 3] && tensor.type == .f32 && tensor.count == 6 && tensor.floats == [1, 2, 3, 4, 5, 6])
    #expect(tensor.name == "layer.0.weight" && tensor.file == "model.safetensors")
    #expect(try file.tensor(at: 0).bytes.isEmpty && file.tensor(at: 0).shape == [0, 4])
    #expect(try file.tensor(at: 1).type == .bf16)
    for (index, type) in [(3, "F8_E4M3"), (4, "Q3_X")] {
      expectRefusal("model.safetensors", "is of the type \(type)") { () throws(BoneSoupError) in
        try file.tensor(at: index)
      }
    }
  }

  @Test func scalarsEscapedNamesAndMetadataAreRead() throws {
    let header =
      #"{"__metadata__":{"a":"b"},"\u00e9\ud834\udd1e\"":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#
    let file = try openSafetensors(SafetensorsBuilder.file(header: header, data: SafetensorsBuilder.bytes(Float(2))))
    #expect(file.count == 1 && file.name(at: 0).elementsEqual("é𝄞\"".utf8))
    let tensor = try file.tensor(at: 0)
    #expect(tensor.shape == [] && tensor.floats == [2])
    #expect(try openSafetensors(SafetensorsBuilder.file(header: "{}", data: [])).count == 0)
  }

  @Test func unalignedTensorsAreRead() throws {
    let header =
      #"{"w":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#
    for padding in 0..<4 {
      let file = try openSafetensors(
        SafetensorsBuilder.file(
          header: header + String(repeating: " ", count: padding), data: [9] + SafetensorsBuilder.bytes(Float(3)),
          padded: false))
      let tensor = try file.tensor(at: 1)
      #expect(tensor.floats == [3])
      tensor.dropBehind()
    }
  }

  @Test(arguments: [
    (#""shape":[2,3],"data_offsets":[0,24]"#, "w must have dtype, shape and data_offsets"),
    (#""dtype":"F32","data_offsets":[0,24]"#, "w must have"), (#""dtype":"F32","shape":[2,3]"#, "w must have"),
    (#""dtype":"F32","shape":[2,4],"data_offsets":[0,24]"#, "w has 24 bytes of data, which the shape [2, 4] of F32"),
    (#""dtype":"F16","shape":[2,3],"data_offsets":[0,24]"#, "w has 24 bytes of data"),
    (#""dtype":"F32","shape":[2,3],"data_offsets":[0,28]"#, "w.data_offsets ends at 28, but the file has 24"),
    (#""dtype":"F32","shape":[2,3],"data_offsets":[24,0]"#, "w.data_offsets has a begin of 24 after its end of 0"),
    (#""dtype":"F32","shape":[2,3],"data_offsets":[-8,16]"#, "w.data_offsets[0] must be from 0"),
    (
      #""dtype":"F32","shape":[2,3],"data_offsets":[0,9223372036854775807]"#,
      "w.data_offsets ends at 9223372036854775807"
    ),
    (#""dtype":"F32","shape":[2,3],"data_offsets":[9223372036854775808,9223372036854775809]"#, "no 64-bit integer"),
    (#""dtype":"F32","shape":[2,3],"data_offsets":[0]"#, "w.data_offsets must be two numbers, has 1"),
    (#""dtype":"F32","shape":[2,3],"data_offsets":[0,24,24]"#, "must be two numbers, has 3"),
    (#""dtype":"F32","shape":[2,3],"data_offsets":{"a":0,"b":24}"#, "w.data_offsets must be an array, is an object"),
    (#""dtype":"F32","shape":[2,3],"data_offsets":[0.5,24]"#, "w.data_offsets[0] must be an integer, is 0.5"),
    (#""dtype":"F32","shape":[-2,-3],"data_offsets":[0,24]"#, "w.shape[0] must be from 0"),
    (#""dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]"#, "w.shape has a product"),
    (#""dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,24]"#, "w has 24 bytes of data"),
    (#""dtype":"F32","shape":[9223372036854775807,2,0],"data_offsets":[0,0]"#, "w.shape has a product"),
    (#""dtype":"F32","shape":[1,1,1,1,1,1,1,1,6],"data_offsets":[0,24]"#, "w.shape has 9 dimensions; at most 8"),
    (#""dtype":"F32","shape":6,"data_offsets":[0,24]"#, "w.shape must be an array, is a number"),
    (#""dtype":"F32","shape":["6"],"data_offsets":[0,24]"#, "w.shape[0] must be a number, is a string"),
    (#""dtype":0,"shape":[6],"data_offsets":[0,24]"#, "w.dtype must be a string, is a number"),
    (#""dtype":"F4","shape":[3],"data_offsets":[0,1]"#, "w has 1 bytes of data"),
    (#""dtype":"F32","dtype":"F32","shape":[6],"data_offsets":[0,24]"#, "appears twice"),
    (#""dtype":"F32","shape":[5],"data_offsets":[0,20]"#, "has 4 bytes after the data of its last tensor"),
    (#""dtype":"F32","shape":[5],"data_offsets":[4,24]"#, "the tensor w leaves a gap before it"),
  ])
  func brokenDescriptionsAreRefusedByTensor(description: String, message: String) {
    expectRefusal("model.safetensors", message) { () throws(BoneSoupError) in
      try openSafetensors(Self.one(description))
    }
  }

  @Test func tensorsMustCoverTheDataOnce() {
    let pair = { (first: String, second: String) in
      let entry = { (range: String) in "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[\(range)]}" }
      return SafetensorsBuilder.file(
        header: "{\"a\":\(entry(first)),\"b\":\(entry(second))}", data: [UInt8](repeating: 0, count: 16))
    }
    #expect(refusal { () throws(BoneSoupError) in try openSafetensors(pair("8,16", "0,8")) } == nil)
    expectRefusal("the tensor b overlaps the one before it") { () throws(BoneSoupError) in
      try openSafetensors(pair("0,8", "4,12"))
    }
    expectRefusal("the tensor b overlaps the one before it") { () throws(BoneSoupError) in
      try openSafetensors(pair("0,8", "0,8"))
    }
    expectRefusal("the tensor a leaves a gap before it") { () throws(BoneSoupError) in
      try openSafetensors(pair("8,16", "8,16"))
    }
  }

  @Test func brokenHeadersAreRefused() {
    let length = { (value: UInt64) in SafetensorsBuilder.bytes(value) + Array("{}".utf8) }
    for value in [UInt64.max, 1 << 63, 100_000_001] {
      expectRefusal("gives its header \(value) bytes") { () throws(BoneSoupError) in try openSafetensors(length(value))
      }
    }
    expectRefusal("cut short") { () throws(BoneSoupError) in try openSafetensors(length(3)) }
    expectRefusal("does not start with '{'") { () throws(BoneSoupError) in try openSafetensors(length(0)) }
    expectRefusal("2 bytes after the data") { () throws(BoneSoupError) in
      try openSafetensors(length(2) + [0, 0])
    }
    for count in 0..<8 {
      expectRefusal("has \(count) bytes; a safetensors file starts with 8") { () throws(BoneSoupError) in
        try openSafetensors([UInt8](repeating: 0, count: count))
      }
    }
    for header in [
      "[]", " {}", "{\"w\":1}", "{\"__metadata__\":1}", "{\"w\":{}", "{}{}", "{\"w\":[[[[[[[[[[]]]]]]]]]]}",
    ] {
      expectRefusal("model.safetensors") { () throws(BoneSoupError) in
        try openSafetensors(SafetensorsBuilder.file(header: header, data: []))
      }
    }
  }

  @Test func duplicateNamesAreRefusedHoweverLongTheHeader() {
    let entry = { (name: String) in "\"\(name)\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}" }
    expectRefusal("appears twice") { () throws(BoneSoupError) in
      try openSafetensors(SafetensorsBuilder.file(header: "{\(entry("w")),\(entry("\\u0077"))}", data: []))
    }
    let many = (0..<25_000).map { entry("tensor.\($0)") }.joined(separator: ",")
    #expect(many.utf8.count > 1 << 20)
    expectRefusal("the tensor w is listed twice") { () throws(BoneSoupError) in
      try openSafetensors(
        SafetensorsBuilder.file(header: "{\(entry("w")),\(many),\(entry("\\u0077"))}", data: []))
    }
    expectRefusal("w.dtype is given twice") { () throws(BoneSoupError) in
      try openSafetensors(
        SafetensorsBuilder.file(
          header: "{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\(many)}", data: []))
    }
    #expect(
      refusal { () throws(BoneSoupError) in try openSafetensors(SafetensorsBuilder.file(header: "{\(many)}", data: []))
      } == nil)
  }

  @Test func everyTruncationIsRefused() {
    for count in 0..<Self.sample.count {
      expectRefusal("model.safetensors") { () throws(BoneSoupError) in
        try openSafetensors(Array(Self.sample[..<count]))
      }
    }
  }

  /// Reads every byte of every tensor that can be read.
  private func readAll(_ file: Safetensors) -> Int {
    var sum = 0
    for index in 0..<file.count {
      guard file.index(of: file.name(at: index)) == index, let tensor = try? file.tensor(at: index) else { continue }
      for byte in tensor.bytes { sum &+= Int(byte) }
    }
    return sum
  }

  @Test func flippedBitsNeverCrash() throws {
    var random = SplitMix(seed: 11)
    let headerEnd = Self.sample.count - 36
    for _ in 0..<10_000 {
      var bytes = Self.sample
      for _ in 0...random.below(3) { bytes[random.below(headerEnd)] ^= 1 << UInt8(random.below(8)) }
      if let file = try? openSafetensors(bytes) { _ = readAll(file) }
    }
  }

  @Test func mutatedDigitsNeverCrash() throws {
    var random = SplitMix(seed: 12)
    let digits = Self.sample.indices.filter { $0 >= 8 && (0x30...0x39).contains(Self.sample[$0]) }
    for _ in 0..<10_000 {
      var bytes = Self.sample
      for _ in 0...random.below(4) {
        let place = digits[random.below(digits.count)]
        switch random.below(3) {
        case 0: bytes[place] = 0x30 + UInt8(random.below(10))
        case 1: bytes[place] = 0x2D
        default: bytes.replaceSubrange(place...place, with: "9223372036854775807".utf8)
        }
        bytes.replaceSubrange(0..<8, with: SafetensorsBuilder.bytes(UInt64(bytes.count - 36 - 8)))
      }
      if let file = try? openSafetensors(bytes) { _ = readAll(file) }
    }
  }
}
