import Kernels
import TestSupport
import Testing

/// DESIGN §8: a query's bits depend on itself and on what it sees.
@Suite struct AttentionCompanyTests {
  @Test(arguments: CacheCase.all)
  func aQuerysBitsDoNotDependOnItsCompany(_ test: CacheCase) {
    var random = SplitMix(seed: 11)
    for round in 0..<24 {
      let size = test.headSizes[round % test.headSizes.count]
      let (rows, heads) = (1 + random.below(20), 1 + random.below(10))
      let position = random.below(180)
      let window = [Int.max, 1, 3, 64, 100, 1 + random.below(150)][random.below(6)]
      let count = position + rows
      let (keys, values) = (random.floats(count * size), random.floats(count * size))
      let queries = random.floats(rows * heads * size).map { $0 * 3 }
      let panels = CachePanels(test, headSize: size, positions: count)
      panels.store(0..<count, keys: keys, values: values)
      let together = panels.attend(queries, rows: rows, heads: heads, position: position, window: window, scale: 0.3)
      for row in 0..<rows {
        // Alone, with nothing stored that the row does not see.
        let seen = position + row + 1
        let own = CachePanels(test, headSize: size, positions: seen)
        own.store((window < seen ? seen - window : 0)..<seen, keys: keys, values: values)
        for head in 0..<heads {
          let part = (row * heads + head) * size..<(row * heads + head + 1) * size
          let alone = own.attend(Array(queries[part]), position: position + row, window: window, scale: 0.3)
          #expect(
            sameBits(alone, Array(together[part])),
            "row \(row) of \(rows), head \(head) of \(heads), size \(size), position \(position), window \(window)")
        }
      }
    }
  }

  @Test(arguments: CacheCase.all, [Float.nan, .infinity, -.infinity, 3e38])
  func laterPositionsTouchNothing(_ test: CacheCase, _ value: Float) {
    var random = SplitMix(seed: 12)
    for size in test.headSizes {
      for heads in [1, 3] {
        let (keys, values) = (random.floats(140 * size), random.floats(140 * size))
        let queries = random.floats(10 * heads * size)
        let plain = CachePanels(test, headSize: size, positions: 140)
        plain.store(0..<140, keys: keys, values: values)
        let expected = plain.attend(queries, rows: 10, heads: heads, position: 120)
        for bad in [124, 127, 128, 129] {
          let panels = CachePanels(test, headSize: size, positions: 140)
          panels.store(0..<140, keys: keys, values: values)
          let odd = [Float](repeating: value, count: size)
          panels.store(bad, key: odd, value: odd)
          let out = panels.attend(queries, rows: 10, heads: heads, position: 120)
          let before = (bad - 120) * heads * size
          #expect(sameBits(Array(out[..<before]), Array(expected[..<before])), "size \(size), \(heads) heads, \(bad)")
        }
        // Nor do those that have left the window.
        let panels = CachePanels(test, headSize: size, positions: 140)
        panels.store(0..<140, keys: keys, values: values)
        let narrow = panels.attend(queries, rows: 10, heads: heads, position: 120, window: 21)
        for bad in 0..<103 {
          panels.store(bad, key: [Float](repeating: value, count: size), value: [Float](repeating: value, count: size))
        }
        let rest = 3 * heads * size
        let after = panels.attend(queries, rows: 10, heads: heads, position: 120, window: 21)
        #expect(sameBits(Array(after[rest...]), Array(narrow[rest...])), "size \(size), \(heads) heads")
      }
    }
  }

  @Test(arguments: CacheCase.all)
  func storingTouchesItsPositionOnlyAndMayBeRepeated(_ test: CacheCase) {
    var random = SplitMix(seed: 13)
    for size in test.headSizes {
      let (keys, values) = (random.floats(64 * size), random.floats(64 * size))
      let (up, down) = (
        CachePanels(test, headSize: size, positions: 64), CachePanels(test, headSize: size, positions: 64)
      )
      up.store(0..<64, keys: keys, values: values)
      for position in (0..<64).reversed() {
        down.store(position..<position + 1, keys: values, values: keys)
        down.store(position..<position + 1, keys: keys, values: values)
      }
      #expect(up.keys[0].bytes == down.keys[0].bytes)
      #expect(up.values[0].bytes == down.values[0].bytes)
    }
  }

  @Test(arguments: CacheFormat.allCases)
  func levelsAttendAlike(_ format: CacheFormat) {
    var random = SplitMix(seed: 14)
    for size in [32, 96] {
      let (keys, values) = (random.floats(150 * size), random.floats(150 * size))
      let queries = random.floats(5 * 7 * size).map { $0 * 4 }
      let results = alikeLevels(isBF16: format == .bf16).map { kernels in
        let panels = CachePanels(CacheCase(kernels: kernels, format: format), headSize: size, positions: 150)
        panels.store(0..<150, keys: keys, values: values)
        return panels.attend(queries, rows: 5, heads: 7, position: 145).map(\.bitPattern)
      }
      #expect(Set(results).count <= 1)
    }
  }

  @Test(arguments: levels)
  func bytesHaveTheScaleOfTheirGreatest(_ kernels: Kernels) {
    let test = CacheCase(kernels: kernels, format: .q8_0)
    let panels = CachePanels(test, headSize: 64, positions: 64)
    var value = [Float](repeating: 0, count: 64)
    value[0] = 127
    value[1] = -2.5
    value[2] = 3.5
    value[31] = -127
    panels.store(0, key: value, value: value)
    let bytes = { (panel: Fenced, offsets: [Int]) in
      offsets.map { panel.start.load(fromByteOffset: $0, as: UInt8.self) }
    }
    // [quad][position][4] of keys, by 128 too great but for one level, [quad of positions][column][4] of values.
    let keys: [UInt8] = kernels.instructionSet == .avx2 ? [127, 254, 4, 129, 0] : [255, 126, 132, 1, 128]
    #expect(bytes(panels.keys[0], [0, 1, 2, 7 * 256 + 3, 8 * 256]) == keys)
    #expect(bytes(panels.values[0], [0, 4, 8, 124, 128]) == [127, 254, 4, 129, 0])
    for panel in [panels.keys[0], panels.values[0]] {
      #expect(panel.start.loadUnaligned(fromByteOffset: 64 * 64, as: Float16.self) == 1)
      #expect(panel.start.loadUnaligned(fromByteOffset: 64 * 64 + 128, as: Float16.self) == 0)
    }
  }
}
