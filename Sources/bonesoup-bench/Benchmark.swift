import CBoneSoup
import Kernels
import Platform

/// One run: the model, the machine's limits, and the rows so far.
struct Benchmark {
  let options: Options
  let shape: ModelShape
  let threads: Int
  let cpus: [Int]
  let engine: EngineHandle
  /// The model alone; of a soup its base.
  let base: SoupHandle
  /// With its backbones; nil for a model.
  let soup: SoupHandle?
  /// How many adapters are live.
  let adapterCount: Int
  let weights: StorageFormat
  let kv: StorageFormat
  var limits: Limits?
  var report: Report

  init(_ options: Options) throws(Failure) {
    shape = try ModelShape(path: options.path)
    var fitting = options
    if !options.isPrefillGiven {
      fitting.prefill = max(0, min(options.prefill, shape.config.contextLength - options.decode))
    }
    self.options = fitting
    threads = options.threads > 0 ? options.threads : ProcessorSet.count
    cpus = Processors.choose(threads: threads)
    if options.measuresLimits {
      limits = try Limits(threads: threads, cpus: cpus, buffer: options.buffer << 20)
    }
    engine = try EngineHandle(threads: threads, cpus: cpus)
    Processors.pin(to: cpus.prefix(1))
    base = try SoupHandle(shape.basePath, engine: engine, weights: options.weights)
    soup = shape.isSoup ? try SoupHandle(options.path, engine: engine, weights: options.weights) : nil
    adapterCount = try Self.adapterCount(soup, options)
    guard let weights = StorageFormat.coded(base.info.weights) else {
      throw Failure(message: "the library uses weight format \(base.info.weights), which this program does not know")
    }
    self.weights = weights
    let probe = try SessionHandle(BlendHandle(base, [], .automatic), context: 1, kv: options.kv)
    kv = try probe.kvFormat() ?? weights
    report = Report(machine: Machine(threads: threads), model: options.path, weights: weights.name, kv: kv.name)
  }

  private static func adapterCount(_ soup: SoupHandle?, _ options: Options) throws(Failure) -> Int {
    let count = soup.map { $0.info.live != 0 ? Int($0.info.backbone_count) : 0 } ?? 0
    guard let wanted = options.adapters else { return count }
    guard wanted <= count else {
      let reason = soup == nil ? "\(options.path) is a model, not a soup" : "the soup has \(count) that can be live"
      throw Failure(message: "--adapters \(wanted) is not possible: \(reason)", exitStatus: 2)
    }
    return wanted
  }

  mutating func run() throws(Failure) -> Report {
    if wants(.prefill, options.prefill > 0) { try prefill() }
    if wants(.decode, options.decode > 0) { try decode() }
    if wants(.batch, options.batch > 0) { try batch() }
    if wants(.live, adapterCount > 0) { try live() }
    if wants(.fold, options.folds) { try fold() }
    if wants(.open, options.opens) { try open() }
    if wants(.kernels, options.kernels) { try matrixKernels() }
    limits?.measure()
    report.limits = limits
    return report
  }
}

extension Benchmark {
  private func wants(_ work: Options.Work, _ isAsked: Bool) -> Bool {
    options.only.map { $0 == work } ?? isAsked
  }

  /// Bytes of the base's weights that every decoded token, or all tokens of a batch together, read.
  var weightBytes: Double { Double(base.info.memory) * shape.readShare }

  /// Bytes of the adapters.
  var adapterBytes: Double {
    guard let soup, soup.info.backbone_count > 0 else { return 0 }
    let all = max(0, Double(soup.info.memory) - Double(base.info.memory))
    return all * Double(adapterCount) / Double(soup.info.backbone_count)
  }

  /// Bytes of keys and values up to a position.
  func cacheBytes(_ positions: Double) -> Double {
    shape.keyValueElements * positions * kv.bytesPerElement
  }

  /// Tokens a second at most, where `sessions` decode together at a position.
  func decodeLimit(sessions: Int = 1, position: Double, adapters: Bool = false) -> Row.Limit {
    let bytes = weightBytes + (adapters ? adapterBytes : 0) + Double(sessions) * cacheBytes(position)
    let operations = Double(sessions) * shape.decodeOperations
    let arithmetic = weights.arithmetic
    return { Double(sessions) / max(bytes / $0.read, operations / $0.peak(arithmetic)) }
  }

  /// Tokens of a prompt a second at most.
  var prefillLimit: Row.Limit {
    let (arithmetic, operations) = (weights.arithmetic, shape.prefillOperations)
    return { $0.peak(arithmetic) / operations }
  }

  /// Seconds of each of several repetitions, after one that does not count.
  func repeated(_ body: () throws(Failure) -> Double) throws(Failure) -> Samples {
    _ = try body()
    var times: [Double] = []
    for _ in 0..<options.repetitions { times.append(try body()) }
    return Samples(times)
  }

  /// Token numbers that differ from place to place, the same in each run.
  func tokens(_ count: Int, seed: UInt64 = 1) -> [Int32] {
    var state = seed &* 0x9e37_79b9_7f4a_7c15
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int32(truncatingIfNeeded: (state >> 33) % UInt64(max(1, shape.config.vocabularySize)))
    }
  }

  /// The soup's coefficients, of the live adapters only, for the `index`-th preference.
  func coefficients(_ index: Int = 0) -> [Double] {
    let count = soup.map { Int($0.info.backbone_count) } ?? 0
    return (0..<count).map { backbone in
      guard backbone < adapterCount else { return 0.0 }
      return 0.25 + Double((backbone * 7 + index * 3) % 17) / 32
    }
  }
}
