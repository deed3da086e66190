import Glibc
import Kernels
import Testing

/// A level and a format of the cache.
struct CacheCase: CustomTestStringConvertible, Sendable {
  let kernels: Kernels
  let format: CacheFormat

  var testDescription: String { "\(kernels.instructionSet.name), \(format.name)" }

  static let all = levels.flatMap { kernels in CacheFormat.allCases.map { CacheCase(kernels: kernels, format: $0) } }

  /// Head sizes that the format takes, around the 16 lanes of a vector and the 64 columns of a tile.
  var headSizes: [Int] { format == .q8_0 ? [32, 64, 96] : [1, 2, 17, 64, 80, 129] }
}

/// Keys and values of one head in fenced panels, block by block; every byte is 0xff where nothing was stored: NaNs, and
/// NaN scales.
final class CachePanels {
  let test: CacheCase
  let headSize: Int
  let keys: [Fenced]
  let values: [Fenced]
  /// Blocks that are passed over.
  var missing: Set<Int> = []

  init(_ test: CacheCase, headSize: Int, positions: Int) {
    self.test = test
    self.headSize = headSize
    let bytes = test.format.panelBytes(headSize: headSize)
    keys = (0..<(positions + 63) / 64).map { _ in Fenced(byteCount: bytes) }
    values = keys.map { _ in Fenced(byteCount: bytes) }
  }

  func store(_ position: Int, key: [Float], value: [Float]) {
    let (block, slot) = (position / 64, position % 64)
    let (key, value) = (Fenced(key), Fenced(value))
    test.kernels.storeKey(
      key.floats, format: test.format, headSize: headSize, slot: slot, panel: keys[block].start)
    test.kernels.storeValue(
      value.floats, format: test.format, headSize: headSize, slot: slot, panel: values[block].start)
  }

  /// Positions of `range`, all vectors one after another in `keys` and `values` from position 0 on.
  func store(_ range: Range<Int>, keys: [Float], values: [Float]) {
    for position in range {
      let part = position * headSize..<(position + 1) * headSize
      store(position, key: Array(keys[part]), value: Array(values[part]))
    }
  }

  /// The results of [rows][heads] queries, which may be a part of a wider row.
  func attend(
    _ queries: [Float], rows: Int = 1, heads: Int = 1, position: Int, window: Int = .max, scale: Float = 1
  ) -> [Float] {
    let stride = heads * headSize + 3
    let (query, out) = (Fenced(floats: rows * stride - 3), Fenced(floats: rows * stride - 3))
    for row in 0..<rows {
      for i in 0..<heads * headSize { query.floats[row * stride + i] = queries[row * heads * headSize + i] }
    }
    let pointers = { (panels: [Fenced]) in
      panels.enumerated().map { self.missing.contains($0) ? nil : UnsafeRawPointer($1.start) }
    }
    let (keyPointers, valuePointers) = (pointers(keys), pointers(values))
    keyPointers.withUnsafeBufferPointer { keys in
      valuePointers.withUnsafeBufferPointer { values in
        guard let keys = keys.baseAddress, let values = values.baseAddress else { return }
        test.kernels.attention(
          AttentionCall(
            queries: query.floats, out: out.floats, rowStride: stride, rows: rows, heads: heads, headSize: headSize,
            keys: keys, values: values, format: test.format, position: position, window: window, scale: scale))
      }
    }
    let result = out.values
    return (0..<rows).flatMap { result[$0 * stride..<$0 * stride + heads * headSize] }
  }
}

extension CacheFormat {
  /// What is left of a vector's elements in the cache.
  func round(_ values: [Float]) -> [Float] {
    switch self {
    case .f32: return values
    case .f16: return ElementType.f16.round(values)
    case .bf16: return ElementType.bf16.round(values)
    case .q8_0:
      return stride(from: 0, to: values.count, by: 32).flatMap { start in
        let group = values[start..<start + 32]
        let scale = group.reduce(0) { max($0, abs($1)) } / 127
        let inverse = scale > 0 ? 1 / scale : 0
        let kept = ElementType.f16.round([scale])[0]
        return group.map { ($0 * inverse).rounded(.toNearestOrEven) * kept }
      }
    }
  }
}
