import CBoneSoup
import Kernels

/// What the rows were measured on.
struct Machine {
  let cpu: String
  let isa: String
  let threads: Int
  let version: String

  init(threads: Int) {
    cpu = TextFile.field("model name", of: "/proc/cpuinfo") ?? "unknown CPU"
    isa = Kernels.detect().instructionSet.name
    self.threads = threads
    version = String(cString: bsoup_version())
  }

  var description: String { "\(cpu), \(isa), \(threads) thread\(threads == 1 ? "" : "s"), bonesoup \(version)" }
}
