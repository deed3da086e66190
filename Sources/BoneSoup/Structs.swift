import CBoneSoup
import Glibc
import Platform

/// Structs that carry their size: read from hosts built against an older or newer header, and written to them.
enum Structs {
  /// No header will ever have larger ones.
  private static let largest = 1 << 16

  /// Fills an options struct with its defaults, as far as the host's is long. `struct_size` is the first field of all.
  static func initialize<Options>(_ target: UnsafeMutablePointer<Options>?, _ size: Int, _ defaults: Options) {
    guard let target, size >= MemoryLayout<UInt32>.size, size <= largest else { return }
    memset(target, 0, size)
    withUnsafeBytes(of: defaults) { bytes in
      if let start = bytes.baseAddress { memcpy(target, start, min(size, bytes.count)) }
    }
    UnsafeMutableRawPointer(target).storeBytes(of: UInt32(size), as: UInt32.self)
  }

  /// The host's options; the defaults for NULL, and in the fields that the host's header does not have.
  ///
  /// - Parameter oldest: the first field that was added after 1.0; nil: none was.
  static func read<Options>(
    _ source: UnsafePointer<Options>?, _ defaults: Options, _ name: StaticString,
    added oldest: PartialKeyPath<Options>? = nil
  ) throws(BoneSoupError) -> Options {
    guard let source else { return defaults }
    let known = MemoryLayout<Options>.size
    let least = oldest.flatMap { MemoryLayout<Options>.offset(of: $0) } ?? known
    let size = Int(UnsafeRawPointer(source).load(as: UInt32.self))
    guard size >= least, size <= largest else {
      throw .invalidArgument(
        "struct_size of \(name) is \(size), not \(least) or more: call \(name)_init before changing its fields")
    }
    let bytes = UnsafeRawBufferPointer(start: source, count: size)
    guard bytes.dropFirst(known).allSatisfy({ $0 == 0 }) else {
      throw .unsupported("\(name) sets a field that this version of the library does not know")
    }
    var options = defaults
    withUnsafeMutableBytes(of: &options) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(known))) }
    return options
  }

  /// Fills the host's info struct as far as it is long.
  ///
  /// - Parameter oldest: as in `read`.
  static func write<Info>(
    _ value: Info, to target: UnsafeMutablePointer<Info>?, _ name: StaticString,
    added oldest: PartialKeyPath<Info>? = nil
  ) throws(BoneSoupError) {
    let (target, size) = try check(target, name, added: oldest)
    memset(target, 0, size)
    withUnsafeBytes(of: value) { bytes in
      if let start = bytes.baseAddress { memcpy(target, start, min(size, bytes.count)) }
    }
    UnsafeMutableRawPointer(target).storeBytes(of: UInt32(MemoryLayout<Info>.size), as: UInt32.self)
  }

  /// The host's info struct and its size, where `write` can fill it.
  @discardableResult static func check<Info>(
    _ target: UnsafeMutablePointer<Info>?, _ name: StaticString, added oldest: PartialKeyPath<Info>? = nil
  ) throws(BoneSoupError) -> (target: UnsafeMutablePointer<Info>, size: Int) {
    let target = try Arguments.required(target, name)
    let least = oldest.flatMap { MemoryLayout<Info>.offset(of: $0) } ?? MemoryLayout<Info>.size
    let size = Int(UnsafeRawPointer(target).load(as: UInt32.self))
    guard size >= least, size <= largest else {
      throw .invalidArgument(
        "struct_size of \(name) is \(size), not \(least) or more: set it to sizeof before the call")
    }
    return (target, size)
  }

  static func requireZero(_ reserved: UInt32, _ name: StaticString) throws(BoneSoupError) {
    guard reserved == 0 else { throw .invalidArgument("\(name).reserved is \(reserved); it must be 0") }
  }

  /// A fingerprint, or "", in an info's 72 characters.
  static func text72<Characters>(_ text: String, into characters: inout Characters) {
    withUnsafeMutableBytes(of: &characters) { bytes in
      var text = text
      text.withUTF8 { source in
        for index in 0..<min(source.count, bytes.count - 1) { bytes[index] = source[index] }
      }
    }
  }
}
