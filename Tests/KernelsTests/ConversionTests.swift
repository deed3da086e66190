import Kernels
import TestSupport
import Testing

@Suite struct ConversionTests {
  static let halves = Case.all.filter { $0.type != .f32 }

  @Test(arguments: halves)
  func everyValueWidensExactlyAndComesBack(_ test: Case) {
    let bits = (0..<65536).map { UInt32($0) }
    let source = Fenced(bytes: test.type.bytes(ofBits: bits))
    let wide = Fenced(floats: 65536)
    test.kernels.widen(type: test.type, source: source.start, count: 65536, into: wide.floats)
    let values = wide.values
    let wrong = bits.filter {
      let (expected, value) = (test.type.decode($0), values[Int($0)])
      return expected.isNaN ? !value.isNaN : value.bitPattern != expected.bitPattern
    }
    #expect(wrong == [])
    let narrow = Fenced(byteCount: 131_072)
    test.kernels.narrow(source: wide.floats, type: test.type, count: 65536, into: narrow.start)
    let changed = zip(bits, test.type.bits(narrow)).filter { before, after in
      test.type.decode(before).isNaN ? !test.type.decode(after).isNaN : before != after
    }
    #expect(changed.map(\.0) == [])
  }

  @Test(arguments: halves)
  func narrowRoundsToNearestTiesToEven(_ test: Case) {
    let infinity: UInt32 = test.type == .f16 ? 0x7c00 : 0x7f80
    var x: [Float] = []
    for bits in 0..<infinity {
      // Where the neighbour is infinity, the tie is where it would be if the exponent went on.
      let (low, high) = (test.type.decode(bits), test.type.decode(bits + 1))
      let middle = high.isFinite ? (low / 2 + high / 2) : low + (low - test.type.decode(bits - 1)) / 2
      x += [middle, middle.nextUp, middle.nextDown, -middle, -middle.nextUp, -middle.nextDown]
    }
    var random = SplitMix(seed: 11)
    x += (0..<50_000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
    x += [.infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 65519.996, 65520, -65520, .nan]
    x += [Float(bitPattern: 0x7f80_0001), Float(bitPattern: 0xffff_ffff), 0, -0.0]
    let (source, out) = (Fenced(x), Fenced(byteCount: x.count * 2))
    test.kernels.narrow(source: source.floats, type: test.type, count: x.count, into: out.start)
    let wrong = zip(x, test.type.bits(out)).filter { x, bits in
      let value = test.type.decode(bits)
      return x.isNaN ? !value.isNaN || value.sign != x.sign : bits != test.type.encode(x)
    }
    #expect(wrong.map(\.0) == [])
  }

  @Test(arguments: Case.all)
  func awkwardCountsStayInBounds(_ test: Case) {
    var random = SplitMix(seed: 12)
    for count in awkwardCounts {
      let x = random.floats(count)
      let (source, narrow, wide) = (Fenced(x), Fenced(byteCount: count * test.type.byteCount), Fenced(floats: count))
      test.kernels.narrow(source: source.floats, type: test.type, count: count, into: narrow.start)
      test.kernels.widen(type: test.type, source: narrow.start, count: count, into: wide.floats)
      #expect(wide.values == test.type.round(x))
    }
  }
}
