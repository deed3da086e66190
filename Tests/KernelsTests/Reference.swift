import Kernels
import TestSupport

extension SplitMix {
  /// `count` values in -1 ..< 1.
  mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1..<1, using: &self) } }
}

extension ElementType {
  /// The value's bits in this format, rounded to nearest, ties to even; a scalar definition of its own.
  func encode(_ value: Float) -> UInt32 {
    switch self {
    case .f32: value.bitPattern
    case .f16: UInt32(Float16(value).bitPattern)
    case .bf16:
      {
        let (low, high) = (value.bitPattern & 0xffff, value.bitPattern >> 16)
        if value.isNaN { return high | 0x40 }
        return low > 0x8000 || low == 0x8000 && high & 1 == 1 ? high + 1 : high
      }()
    }
  }

  func decode(_ bits: UInt32) -> Float {
    switch self {
    case .f32: Float(bitPattern: bits)
    case .f16: Float(Float16(bitPattern: UInt16(bits)))
    case .bf16: Float(bitPattern: bits << 16)
    }
  }

  func bytes(ofBits bits: [UInt32]) -> [UInt8] {
    bits.flatMap { bits in (0..<byteCount).map { UInt8(truncatingIfNeeded: bits >> UInt32(8 * $0)) } }
  }

  func bytes(_ values: [Float]) -> [UInt8] { bytes(ofBits: values.map(encode)) }

  func round(_ values: [Float]) -> [Float] { values.map { decode(encode($0)) } }

  func bits(_ memory: Fenced) -> [UInt32] {
    (0..<memory.byteCount / byteCount).map {
      self == .f32
        ? memory.start.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)
        : UInt32(memory.start.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self))
    }
  }
}

/// Lengths around the 16 lanes of a vector and the 64 columns of a group.
let awkwardCounts = [0, 1, 15, 16, 17, 31, 32, 63, 64, 65, 100, 257]

/// How far `value` is from `expected`, in units of the last place of the nearest float.
func ulps(_ value: Float, _ expected: Double) -> Double {
  let nearest = Float(expected)
  if value == nearest { return 0 }
  return abs(Double(value) - expected) / Double(nearest.ulp)
}
