// Folding all backbones of a soup into weights of their own.

extension Benchmark {
  mutating func fold() throws(Failure) {
    guard let soup, soup.info.backbone_count > 0 else {
      throw Failure(message: "folding needs a soup with backbones; \(options.path) has none", exitStatus: 2)
    }
    let count = Int(soup.info.backbone_count)
    let full = try soup.backbones().filter { !$0.isLowRank }.count
    // Powers of two that sum to 1: where all backbones are full, the base is not read.
    let coefficients = (0..<count).map { 1 / Double(UInt64(1) << UInt64(min($0 + 1, count - 1))) }
    let inputs = full == count ? full : full + 1
    var result = 0.0
    // What the memory gives changes from second to second where others share it: the limit is taken beside each fold.
    var around: [Double] = []
    let times = try repeated { () throws(Failure) in
      if let limits { around.append(limits.mergeNow()) }
      var blend: BlendHandle?
      let time = try Clock.time { () throws(Failure) in
        blend = try BlendHandle(soup, coefficients, .folded, weights: options.weights)
      }
      if let limits, let before = around.popLast() { around.append(max(before, limits.mergeNow())) }
      result = try blend?.memory() ?? 0
      return time
    }
    let merge = around.isEmpty ? nil : Samples(Array(around.dropFirst())).median
    let elements = Double(shape.config.parameterCount)
    let format = try SoupHandle(shape.basePath, engine: engine, weights: nil).info.weights
    let source = elements * (StorageFormat.coded(format)?.bytesPerElement ?? 2)
    let moved = Double(inputs) * source + result
    report.add("fold of \(count) backbones", times.map { $0 * 1e3 }, "ms", lessIsBetter: true) {
      moved / (merge ?? $0.merge) * 1e3
    }
    report.add("fold of \(count) backbones, read and written", times.map { moved / $0 / 1e9 }, "GB/s") {
      (merge ?? $0.merge) / 1e9
    }
  }
}
