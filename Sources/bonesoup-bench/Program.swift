import Glibc

@main enum Program {
  static func main() {
    do {
      guard let options = try Options.parse(Array(CommandLine.arguments.dropFirst())) else {
        print(Options.usage)
        return
      }
      if options.isOpenedOnce {
        try OpenedOnce.run(options)
        return
      }
      var benchmark = try Benchmark(options)
      let report = try benchmark.run()
      print(options.json ? report.json : report.table, terminator: "")
    } catch {
      let text = "bonesoup-bench: \(error.message)\n"
      _ = text.withCString { write(2, $0, strlen($0)) }
      exit(error.exitStatus)
    }
  }
}
