extension Options {
  /// - Returns: nil where help was asked for.
  static func parse(_ arguments: [String]) throws(Failure) -> Options? {
    var options = Options()
    var paths: [String] = []
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("--") else {
        paths.append(argument)
        continue
      }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      var inline = parts.count > 1 ? parts[1] : nil
      func value(_ kind: String) throws(Failure) -> String {
        if let text = inline {
          inline = nil
          return text
        }
        guard let text = rest.popFirst() else { throw wrong("\(parts[0]) needs \(kind) after it") }
        return text
      }
      func number(_ range: ClosedRange<Int>) throws(Failure) -> Int {
        let text = try value("a number")
        guard let number = Int(text), range.contains(number) else {
          throw wrong("\(parts[0]) takes a number from \(range.lowerBound) to \(range.upperBound), not \"\(text)\"")
        }
        return number
      }
      func format() throws(Failure) -> StorageFormat {
        let text = try value("a format")
        guard let format = StorageFormat.named(text) else {
          throw wrong("\(parts[0]) takes one of \(StorageFormat.names), not \"\(text)\"")
        }
        return format
      }
      switch parts[0] {
      case "--weights": options.weights = try format()
      case "--kv": options.kv = try format()
      case "--threads": options.threads = try number(0...1024)
      case "--prefill":
        options.prefill = try number(0...(1 << 20))
        options.isPrefillGiven = true
      case "--decode": options.decode = try number(0...(1 << 20))
      case "--batch": options.batch = try number(0...4096)
      case "--adapters": options.adapters = try number(0...64)
      case "--repetitions": options.repetitions = try number(1...10_000)
      case "--buffer": options.buffer = try number(1...(1 << 20))
      case "--no-limits": options.measuresLimits = false
      case "--fold": options.folds = true
      case "--open": options.opens = true
      case "--opened-once": options.isOpenedOnce = true
      case "--kernels": options.kernels = true
      case "--only":
        let text = try value("a word")
        guard let work = Work(rawValue: text) else {
          throw wrong("--only takes one of \(Work.allCases.map(\.rawValue).joined(separator: ", ")), not \"\(text)\"")
        }
        options.only = work
      case "--json": options.json = true
      case "--help": return nil
      default: throw wrong("there is no option \(parts[0])")
      }
      if inline != nil { throw wrong("\(parts[0]) takes no value") }
    }
    guard let path = paths.first, paths.count == 1 else {
      throw wrong(paths.isEmpty ? "name a model folder or a soup" : "name one model or soup, not \(paths.count)")
    }
    options.path = path
    return options
  }

  private static func wrong(_ what: String) -> Failure {
    Failure(message: "\(what); --help lists the options", exitStatus: 2)
  }
}
