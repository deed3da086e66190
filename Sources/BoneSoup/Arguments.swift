import CBoneSoup
import Glibc
import Kernels
import Platform

/// What hosts pass in, checked and turned into Swift's values.
enum Arguments {
  /// A pointer that may not be NULL.
  static func required<Value>(
    _ pointer: UnsafeMutablePointer<Value>?, _ name: StaticString
  ) throws(BoneSoupError) -> UnsafeMutablePointer<Value> {
    guard let pointer else { throw .invalidArgument("\(name) is NULL") }
    return pointer
  }

  /// A C string; its length is bounded, its bytes must be UTF-8.
  static func string(
    _ pointer: UnsafePointer<CChar>?, _ name: StaticString, maximum: Int = 4096
  ) throws(BoneSoupError) -> String {
    guard let pointer else { throw .invalidArgument("\(name) is NULL") }
    let length = strnlen(pointer, maximum + 1)
    guard length <= maximum else { throw .invalidArgument("\(name) is longer than \(maximum) bytes") }
    let bytes = UnsafeRawBufferPointer(start: pointer, count: length)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .invalidArgument("\(name) is not valid UTF-8")
    }
    return text
  }

  /// `count` values; NULL is right only for none.
  static func values<Value>(
    _ pointer: UnsafePointer<Value>?, _ count: Int, _ name: StaticString
  ) throws(BoneSoupError) -> UnsafeBufferPointer<Value> {
    guard count >= 0, count <= Int.max / max(MemoryLayout<Value>.stride, 1) else {
      throw .invalidArgument("the count of \(name) is too large")
    }
    guard let pointer else {
      guard count == 0 else { throw .invalidArgument("\(name) is NULL, and its count is \(count)") }
      return UnsafeBufferPointer(start: nil, count: 0)
    }
    return UnsafeBufferPointer(start: pointer, count: count)
  }

  /// A text with a size.
  static func text(
    _ pointer: UnsafePointer<CChar>?, _ size: Int, _ name: StaticString
  ) throws(BoneSoupError) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(try values(pointer, size, name))
  }

  /// Room for `capacity` values that the host gave.
  static func room<Value>(
    _ pointer: UnsafeMutablePointer<Value>?, _ capacity: Int, _ name: StaticString
  ) throws(BoneSoupError) -> UnsafeMutableBufferPointer<Value> {
    guard pointer != nil || capacity == 0 else {
      throw .invalidArgument("\(name) is NULL, and its capacity is \(UInt(bitPattern: capacity))")
    }
    // A size_t above what memory can hold means plenty.
    let most = Int.max / max(MemoryLayout<Value>.stride, 1)
    return UnsafeMutableBufferPointer(
      start: pointer, count: pointer == nil ? 0 : capacity < 0 ? most : min(capacity, most))
  }

  /// Copies an array of exactly `values.count` numbers out.
  static func copy(
    _ values: [Double], to target: UnsafeMutablePointer<Double>?, _ count: UInt32, _ name: StaticString
  ) throws(BoneSoupError) {
    guard Int(count) == values.count else {
      throw .mismatch("there are \(values.count) numbers for \(name), and room for \(count)")
    }
    let room = try room(target, values.count, name)
    for (index, value) in values.enumerated() { room[index] = value }
  }

  /// BSOUP_FORMAT_* of weights; nil is the default.
  static func format(_ number: UInt32, _ name: StaticString) throws(BoneSoupError) -> WeightFormat? {
    switch Int(number) {
    case Int(BSOUP_FORMAT_DEFAULT): return nil
    case Int(BSOUP_FORMAT_F32): return .f32
    case Int(BSOUP_FORMAT_F16): return .f16
    case Int(BSOUP_FORMAT_BF16): return .bf16
    case Int(BSOUP_FORMAT_Q8_0): return .q8_0
    case Int(BSOUP_FORMAT_Q4_0): return .q4_0
    case Int(BSOUP_FORMAT_Q8_128): return .q8_128
    default: throw .invalidArgument("\(name) is \(number), which is no BSOUP_FORMAT")
    }
  }

  /// BSOUP_FORMAT_* of single numbers; nil is the default.
  static func elementType(_ number: UInt32, _ name: StaticString) throws(BoneSoupError) -> ElementType? {
    guard let format = try format(number, name) else { return nil }
    guard let type = format.elementType else {
      throw .invalidArgument("\(name) is \(format.name); f32, f16 or bf16 is needed")
    }
    return type
  }

  static func formatNumber(_ format: WeightFormat) -> UInt32 {
    switch format {
    case .f32: UInt32(BSOUP_FORMAT_F32)
    case .f16: UInt32(BSOUP_FORMAT_F16)
    case .bf16: UInt32(BSOUP_FORMAT_BF16)
    case .q8_0: UInt32(BSOUP_FORMAT_Q8_0)
    case .q4_0: UInt32(BSOUP_FORMAT_Q4_0)
    case .q8_128: UInt32(BSOUP_FORMAT_Q8_128)
    }
  }

  /// BSOUP_FORMAT_* of keys and values; nil is the default.
  static func cacheFormat(_ number: UInt32) throws(BoneSoupError) -> CacheFormat? {
    switch Int(number) {
    case Int(BSOUP_FORMAT_DEFAULT): return nil
    case Int(BSOUP_FORMAT_F32): return .f32
    case Int(BSOUP_FORMAT_F16): return .f16
    case Int(BSOUP_FORMAT_BF16): return .bf16
    case Int(BSOUP_FORMAT_Q8_0): return .q8_0
    default: throw .invalidArgument("kv_format is \(number); keys and values are kept in f32, f16, bf16 or q8_0")
    }
  }

  static func cacheFormatNumber(_ format: CacheFormat) -> UInt32 {
    switch format {
    case .f32: UInt32(BSOUP_FORMAT_F32)
    case .f16: UInt32(BSOUP_FORMAT_F16)
    case .bf16: UInt32(BSOUP_FORMAT_BF16)
    case .q8_0: UInt32(BSOUP_FORMAT_Q8_0)
    }
  }

  /// A switch that is 0 or 1.
  static func flag(_ number: UInt32, _ name: StaticString) throws(BoneSoupError) -> Bool {
    guard number <= 1 else { throw .invalidArgument("\(name) is \(number); it must be 0 or 1") }
    return number == 1
  }

  /// Options that are added up.
  static func flags(_ number: UInt32, among known: Int, _ name: StaticString) throws(BoneSoupError) -> Int {
    guard Int(number) & ~known == 0 else { throw .invalidArgument("\(name) is \(number), which has unknown bits") }
    return Int(number)
  }
}
