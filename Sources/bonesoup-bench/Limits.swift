import Glibc
import Kernels
import Platform

/// What the machine allows with a number of threads; measured by loops that do nothing else.
struct Limits {
  /// Bytes a second: reading one stream per thread.
  private(set) var read = 0.0
  /// Bytes a second, read and written: three streams in, one out.
  private(set) var merge = 0.0
  /// Operations a second.
  private var arithmetic: [Kernels.Arithmetic: Double] = [:]

  private let kernels = Kernels.detect()
  private let pool: ThreadPool
  private let memory: HugeMemory
  private let operands = HugeMemory(byteCount: 4096)

  /// Measures for the first time.
  ///
  /// - Parameter buffer: bytes to stream over.
  init(threads: Int, cpus: [Int], buffer: Int) throws(Failure) {
    pool = ThreadPool(threadCount: threads, cpus: cpus)
    guard let memory = HugeMemory(byteCount: buffer) else {
      throw Failure(message: "there is no memory for a buffer of \(buffer >> 20) MiB; choose a smaller one by --buffer")
    }
    self.memory = memory
    memory.fill()
    measure()
  }

  /// Measures again and keeps the best: other programs only ever make a machine look slower.
  mutating func measure() {
    for _ in 0..<4 {
      read = max(read, Double(memory.byteCount) / streamTime())
      merge = max(merge, mergeNow())
      for kind in Kernels.Arithmetic.allCases { arithmetic[kind] = max(peak(kind), measuredPeak(kind)) }
    }
  }

  /// Bytes a second of a merge of three streams at this moment.
  func mergeNow() -> Double { Double(memory.byteCount) / mergeTime() }

  func peak(_ kind: Kernels.Arithmetic) -> Double { arithmetic[kind] ?? 0 }

  private func streamTime() -> Double {
    let parts = pool.threadCount
    let each = memory.byteCount / parts & ~4095
    return Clock.time {
      pool.run(parts: parts) { part in
        keep(UInt64(kernels.readStream(memory.start + part * each, count: each)))
      }
    } * Double(memory.byteCount) / Double(each * parts)
  }

  private func mergeTime() -> Double {
    let parts = pool.threadCount
    let quarter = memory.byteCount / 4 & ~4095
    let each = quarter / parts & ~4095
    return Clock.time {
      pool.run(parts: parts) { part in
        let start = memory.start + part * each
        kernels.mergeStreams(
          start, start + quarter, start + 2 * quarter, count: each, into: start + 3 * quarter)
      }
    } * Double(memory.byteCount) / Double(4 * each * parts)
  }

  /// Operations a second over about 20 ms.
  private func measuredPeak(_ kind: Kernels.Arithmetic) -> Double {
    guard let operands else { return 0 }
    var rounds = 10_000
    while true {
      let operations = kernels.operationsPerRound(kind) * Double(rounds)
      let seconds = Clock.time {
        pool.run(parts: pool.threadCount) { _ in
          keep(UInt64(kernels.arithmeticPeak(kind, operands: operands.start, rounds: rounds).bitPattern))
        }
      }
      if seconds > 0.02 || rounds > 1 << 30 { return operations * Double(pool.threadCount) / seconds }
      rounds *= 2
    }
  }
}
