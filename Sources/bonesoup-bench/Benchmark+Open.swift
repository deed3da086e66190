import Glibc

// Opening in a process of its own: nothing is there yet but the files in the page cache.

extension Benchmark {
  mutating func open() throws(Failure) {
    var parts: [String: [Double]] = [:]
    for repetition in 0...options.repetitions {
      for (name, value) in try openedOnce() where repetition > 0 { parts[name, default: []].append(value) }
    }
    for name in OpenedOnce.Part.allCases {
      guard let values = parts[name.rawValue] else { continue }
      report.add(name.title, Samples(values.map { $0 * 1e3 }), "ms", lessIsBetter: true)
    }
    for name in OpenedOnce.Size.allCases {
      guard let values = parts[name.rawValue] else { continue }
      let least = weightBytes / shape.readShare + cacheBytes(Double(max(1, options.prefill + options.decode)))
      report.add(
        name.title, Samples(values.map { $0 / 1_048_576 }), "MiB", lessIsBetter: true,
        limit: name == .peak ? { _ in least / 1_048_576 } : nil)
    }
  }

  /// What a new process tells.
  private func openedOnce() throws(Failure) -> [(String, Double)] {
    var arguments = ["bonesoup-bench", shape.basePath, "--opened-once", "--threads=\(threads)"]
    arguments += ["--prefill=\(options.prefill)", "--decode=\(options.decode)"]
    if let weights = options.weights { arguments.append("--weights=\(weights.name)") }
    if let kv = options.kv { arguments.append("--kv=\(kv.name)") }
    // A new process has the CPUs of the thread that starts it.
    Processors.pin(to: cpus)
    defer { Processors.pin(to: cpus.prefix(1)) }
    let output = try ChildProcess.output(of: "/proc/self/exe", arguments)
    return output.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count == 2, let value = Double(words[1]) else { return nil }
      return (String(words[0]), value)
    }
  }
}
