import Platform

/// The life of a process that `--open` starts: open, compute one token, then what the options ask for, and tell the times
/// in seconds and the memory in bytes.
enum OpenedOnce {
  enum Part: String, CaseIterable {
    case open, session, first, total, second

    var title: String {
      switch self {
      case .open: "opening"
      case .session: "opening: engine, blend and session"
      case .first: "opening: first token"
      case .total: "from call to first token"
      case .second: "second token"
      }
    }
  }

  enum Size: String, CaseIterable {
    case peak, anonymous

    var title: String { self == .peak ? "peak memory" : "anonymous memory" }
  }

  static func run(_ options: Options) throws(Failure) {
    let threads = options.threads > 0 ? options.threads : ProcessorSet.count
    let cpus = Processors.choose(threads: threads)
    let begin = Clock.seconds
    let engine = try EngineHandle(threads: threads, cpus: cpus)
    Processors.pin(to: cpus.prefix(1))
    let engineTime = Clock.seconds - begin
    let soup = try SoupHandle(options.path, engine: engine, weights: options.weights)
    let opened = Clock.seconds
    let session = try SessionHandle(
      BlendHandle(soup, [], .automatic), context: max(2, options.prefill + options.decode), kv: options.kv)
    let made = Clock.seconds
    try session.append([0])
    try session.decode()
    let first = Clock.seconds
    try session.append([0])
    try session.decode()
    let second = Clock.seconds
    try work(session, options)
    let values: [(String, Double)] = [
      (Part.open.rawValue, opened - begin - engineTime), (Part.session.rawValue, made - opened + engineTime),
      (Part.first.rawValue, first - made), (Part.total.rawValue, first - begin),
      (Part.second.rawValue, second - first), (Size.peak.rawValue, TextFile.memory("VmHWM")),
      (Size.anonymous.rawValue, TextFile.memory("RssAnon")),
    ]
    for (name, value) in values { print(name, value) }
  }

  /// The prompt and some tokens more, so that memory is that of a text at work.
  private static func work(_ session: SessionHandle, _ options: Options) throws(Failure) {
    guard options.prefill > 0 else { return }
    try session.rewind(to: 0)
    try session.append([Int32](repeating: 0, count: options.prefill)[...])
    try session.decode()
    for _ in 0..<min(4, options.decode) {
      try session.append([0])
      try session.decode()
    }
  }
}
