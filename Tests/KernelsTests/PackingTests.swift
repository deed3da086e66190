import Kernels
import TestSupport
import Testing

@Suite struct PackingTests {
  /// ggml's reference quantisers, number by number, and their numbers again.
  private func reference(_ block: [Float], _ format: WeightFormat) -> [Float] {
    func half(_ value: Float) -> Float { Float(Float16(value)) }
    let most = block.reduce(0) { max($0, abs($1)) }
    if format == .q4_0 {
      let extreme = block.first { abs($0) == most } ?? 0
      let scale = extreme / -8
      let inverse: Float = scale != 0 ? 1 / scale : 0
      return block.map { (min(15, ($0 * inverse + 8.5).rounded(.down)) - 8) * half(scale) }
    }
    let scale = most / 127
    let inverse: Float = scale != 0 ? 1 / scale : 0
    return block.map { ($0 * inverse).rounded(.toNearestOrAwayFromZero) * half(scale) }
  }

  private func expected(_ values: [Float], _ format: WeightFormat) -> [Float] {
    if let type = format.elementType { return type.round(values) }
    let length = format.blockLength
    return stride(from: 0, to: values.count, by: length).flatMap { start -> [Float] in
      let count = min(length, values.count - start)
      let block = Array(values[start..<start + count]) + [Float](repeating: 0, count: length - count)
      return Array(reference(block, format).prefix(count))
    }
  }

  @Test(arguments: PanelCase.all)
  func rowsComeBackAsTheReferenceRoundsThem(_ test: PanelCase) {
    var random = SplitMix(seed: 5)
    for k in [1, 2, 31, 32, 33, 64, 100, 128, 160, 257] {
      for n in [1, 15, 16, 17, 32, 33, 70] {
        let values = random.floats(n * k)
        let matrix = PackedMatrix(test, values, rows: n, columns: k)
        for row in 0..<n {
          #expect(matrix.row(row) == expected(Array(values[row * k..<(row + 1) * k]), test.format), "\(n)x\(k) \(row)")
        }
      }
    }
  }

  /// Halves are where roundings differ; a block of zeros has the scale 0.
  @Test(arguments: PanelCase.all)
  func tiesAndZerosAreRoundedAsTheReferenceDoes(_ test: PanelCase) {
    var values = (0..<256).map { Float($0 % 255 - 127) / 2 }
    values[100] = 127
    values[200] = -127
    values.replaceSubrange(32..<64, with: repeatElement(0, count: 32))
    values.replaceSubrange(64..<66, with: [8, -8])
    values.replaceSubrange(96..<98, with: [-127, 127])
    let matrix = PackedMatrix(test, values, rows: 1, columns: 256)
    #expect(matrix.row(0) == expected(values, test.format))
  }

  @Test(arguments: PanelCase.all, ElementType.allCases)
  func everySourceTypeAndEveryStretchGivesTheSamePanels(_ test: PanelCase, _ type: ElementType) {
    var random = SplitMix(seed: 6)
    let (n, k) = (45, 300)
    let values = type.round(random.floats(n * k))
    let whole = PackedMatrix(test, values, rows: n, columns: k)
    let pieces = PackedMatrix(test, values, rows: n, columns: k, type: type, stretch: 128)
    for row in 0..<n { #expect(sameBits(whole.row(row), pieces.row(row))) }
  }

  @Test(arguments: PanelCase.all)
  func aBlockWithAnInfinityOrNaNIsNotFinite(_ test: PanelCase) {
    let length = max(test.format.blockLength, 32)
    for bad in [Float.nan, .infinity, -.infinity] {
      var values = [Float](repeating: 0.5, count: 3 * length)
      values[length + 7] = bad
      let row = PackedMatrix(test, values, rows: 1, columns: 3 * length).row(0)
      #expect(!row[length + 7].isFinite)
      #expect((row[..<length] + row[(2 * length)...]).allSatisfy { abs($0 - 0.5) < 1e-3 })
    }
  }

  /// The panels of a sum are those of its rows, summed one after the other as `merge` does.
  @Test(arguments: PanelCase.all, ElementType.allCases)
  func panelsOfASumAreThoseOfTheSummedRows(_ test: PanelCase, _ type: ElementType) {
    var random = SplitMix(seed: 7)
    for (rows, columns) in [(1, 32), (33, 64), (64, 100), (70, 256), (80, 288)] {
      for count in [1, 2, 3, 4, 6] where count != 2 || rows == 70 {
        for plain in [false, true] where count == 1 || !plain {
          let sources = (0..<count).map { _ in Fenced(bytes: type.bytes(random.floats(rows * columns))) }
          let terms = sources.map {
            MergeTerm(source: $0.start, coefficient: plain ? 1 : random.floats(1)[0])
          }
          expectPanels(test, terms, type, rows: rows, columns: columns)
        }
      }
    }
  }

  /// Infinities, NaNs and the smallest numbers among what is summed.
  @Test(arguments: PanelCase.all)
  func panelsOfASumKeepWhatIsNotFinite(_ test: PanelCase) {
    var random = SplitMix(seed: 8)
    let (rows, columns) = (64, 512)
    var values = [random.floats(rows * columns), random.floats(rows * columns)]
    values[0][3 * columns + 70] = .infinity
    values[1][17 * columns + 300] = .nan
    values[1][40 * columns + 5] = Float(bitPattern: 0x0003_0000)
    values[0][40 * columns + 5] = 0
    let sources = values.map { Fenced(bytes: ElementType.bf16.bytes($0)) }
    expectPanels(
      test, sources.map { MergeTerm(source: $0.start, coefficient: 0.75) }, .bf16, rows: rows, columns: columns)
  }

  private func expectPanels(
    _ test: PanelCase, _ terms: [MergeTerm], _ type: ElementType, rows: Int, columns: Int
  ) {
    let summed = Fenced(floats: rows * columns)
    let byteCount = test.kernels.matrixBytes(test.format, rows: rows, columns: columns)
    let panels = Fenced(byteCount: byteCount, atEnd: byteCount % 64 == 0)
    terms.withUnsafeBufferPointer {
      test.kernels.merge($0, type: type, count: rows * columns, accumulates: false, into: summed.floats)
      test.kernels.packSums(
        test.format, type: type, terms: $0, rows: rows, columns: columns, into: panels.start)
    }
    #expect(
      panels.bytes == PackedMatrix(test, summed.values, rows: rows, columns: columns).panels.bytes,
      "\(rows) × \(columns), \(terms.count) terms of \(type)")
  }
}
