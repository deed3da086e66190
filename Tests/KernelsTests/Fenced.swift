import Glibc
import Kernels

/// Memory between two pages that may not be touched: reading or writing one byte past its end (or, with `atEnd` false,
/// before its start) ends the test run with a signal. Keep it in a variable: a temporary is gone before the call.
final class Fenced: @unchecked Sendable {
  let start: UnsafeMutableRawPointer
  let byteCount: Int
  private let mapping: UnsafeMutableRawPointer
  private let mappedBytes: Int

  init(byteCount: Int, atEnd: Bool = true) {
    let page = 4096
    let inner = (byteCount + page - 1) / page * page
    mappedBytes = inner + 2 * page
    mapping = mmap(nil, mappedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    mprotect(mapping + page, inner, PROT_READ | PROT_WRITE)
    memset(mapping + page, 0xff, inner)
    start = mapping + page + (atEnd ? inner - byteCount : 0)
    self.byteCount = byteCount
  }

  convenience init(bytes: [UInt8], atEnd: Bool = true) {
    self.init(byteCount: bytes.count, atEnd: atEnd)
    bytes.withUnsafeBytes { if let source = $0.baseAddress { memcpy(start, source, bytes.count) } }
  }

  convenience init(_ values: [Float], atEnd: Bool = true) {
    self.init(byteCount: values.count * 4, atEnd: atEnd)
    values.withUnsafeBytes { if let source = $0.baseAddress { memcpy(start, source, values.count * 4) } }
  }

  /// NaNs, which the kernel under test is to overwrite.
  convenience init(floats count: Int) { self.init(byteCount: count * 4) }

  deinit { munmap(mapping, mappedBytes) }

  var floats: UnsafeMutablePointer<Float> { start.assumingMemoryBound(to: Float.self) }

  var values: [Float] { (0..<byteCount / 4).map { start.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) } }

  var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: start, count: byteCount)) }

  var bits: [UInt32] { values.map(\.bitPattern) }
}
