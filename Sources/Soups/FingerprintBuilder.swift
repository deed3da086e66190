/// Makes a fingerprint out of named fields.
///
/// Each field is written as tag, kind and lengths before its bytes, all integers as 64 bits little-endian, so that no
/// two sequences of fields feed the same bytes. The order of the fields counts.
public struct FingerprintBuilder: Sendable {
  private enum Kind: UInt8 {
    case bytes, integers, doubles, fingerprint
  }

  private var hash = SHA256()

  /// - Parameter domain: says what is fingerprinted, as in "blend", so that unlike things never share a fingerprint.
  public init(domain: StaticString) { start(domain, .bytes, count: 0) }

  public mutating func add(_ tag: StaticString, bytes: UnsafeRawBufferPointer) {
    start(tag, .bytes, count: bytes.count)
    hash.update(bytes)
  }

  public mutating func add(_ tag: StaticString, text: String) {
    var text = text
    text.withUTF8 { add(tag, bytes: UnsafeRawBufferPointer($0)) }
  }

  public mutating func add(_ tag: StaticString, integers: [Int64]) {
    start(tag, .integers, count: integers.count)
    for value in integers { write(UInt64(bitPattern: value)) }
  }

  /// By their bits, except that -0 counts as 0.
  public mutating func add(_ tag: StaticString, doubles: [Double]) {
    start(tag, .doubles, count: doubles.count)
    for value in doubles { write((value + 0).bitPattern) }
  }

  public mutating func add(_ tag: StaticString, fingerprint: Fingerprint) {
    start(tag, .fingerprint, count: 1)
    for index in 0..<8 { write(UInt64(fingerprint.digest.words[index])) }
  }

  /// Of the fields so far; more may be added afterwards.
  public var fingerprint: Fingerprint { Fingerprint(hash.digest) }

  private mutating func start(_ tag: StaticString, _ kind: Kind, count: Int) {
    tag.withUTF8Buffer {
      write(UInt64($0.count))
      hash.update(UnsafeRawBufferPointer($0))
    }
    write(UInt64(kind.rawValue))
    write(UInt64(count))
  }

  private mutating func write(_ value: UInt64) {
    withUnsafeBytes(of: value.littleEndian) { hash.update($0) }
  }
}
