import Glibc
import Platform
import Synchronization

/// What the patterns and normalizers ask about a character, each worked out once and kept.
///
/// A byte for each scalar, filled when first asked for, in the tables of the Swift standard library. Any thread may ask:
/// two that fill the same byte write the same value.
final class CharacterClasses: @unchecked Sendable {
  struct Class: OptionSet {
    let rawValue: UInt8
    static let known = Class(rawValue: 1)
    /// `\p{L}`
    static let letter = Class(rawValue: 2)
    /// `\p{N}`
    static let number = Class(rawValue: 4)
    /// `\s`: White_Space
    static let space = Class(rawValue: 8)
    /// `\w` as Rust's regex has it: Alphabetic, marks, decimal digits, connector punctuation, Join_Control
    static let word = Class(rawValue: 16)
    /// A text may be cut before it and each side be composed or decomposed by itself, and it stays as it is.
    static let stable = Class(rawValue: 32)
  }

  private let table: UnsafePointer<Atomic<UInt8>>
  private let buffer: Buffer
  private static let scalarCount = 0x110000

  init(allocator: Allocator) throws(BoneSoupError) {
    buffer = try Buffer(byteCount: Self.scalarCount, allocator: allocator, purpose: "the character classes")
    memset(buffer.pointer, 0, Self.scalarCount)
    table = UnsafePointer(buffer.pointer.assumingMemoryBound(to: Atomic<UInt8>.self))
  }

  /// The class of a valid scalar; empty for anything else.
  @inline(__always)
  subscript(scalar: UInt32) -> Class {
    guard scalar < Self.scalarCount else { return [] }
    let stored = Class(rawValue: table[Int(scalar)].load(ordering: .relaxed))
    return stored.contains(.known) ? stored : find(scalar)
  }

  @inline(never)
  private func find(_ value: UInt32) -> Class {
    guard let scalar = Unicode.Scalar(value) else { return [] }
    let found = Self.work(out: scalar)
    table[Int(value)].store(found.rawValue, ordering: .relaxed)
    return found
  }

  /// As of Unicode 16, the version of `tokenizers`: the same text has the same ids whatever this was compiled with.
  private static let version = 16

  private static func work(out scalar: Unicode.Scalar) -> Class {
    guard scalar.isAssigned(in: version) else { return [.known, .stable] }
    let properties = scalar.properties
    var found: Class = .known
    var isMark = false
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: found.insert(.letter)
    case .decimalNumber: found.formUnion([.number, .word])
    case .letterNumber, .otherNumber: found.insert(.number)
    case .nonspacingMark, .spacingMark, .enclosingMark:
      isMark = true
      found.insert(.word)
    case .connectorPunctuation: found.insert(.word)
    default: break
    }
    if properties.isWhitespace { found.insert(.space) }
    if properties.isAlphabetic || properties.isJoinControl { found.insert(.word) }
    if !isMark, isStable(scalar) { found.insert(.stable) }
    return found
  }

  /// Of the characters that compose with one before them, those that are not marks are the Hangul jamo and letters of
  /// Kirat Rai.
  private static func isStable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0xC0: true
    case 0x1100...0x11FF, 0x16D40...0x16D7F: false
    default:
      CanonicalMapping.combiningClass(scalar) == 0 && CanonicalMapping.isUnchanged(scalar)
    }
  }
}
