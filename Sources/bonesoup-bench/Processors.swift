import CIntrinsics
import Glibc
import Platform

/// The CPUs that the benchmark keeps its threads on: without, two threads may find themselves on one for a while.
enum Processors {
  /// One CPU per thread, the first for the calling thread; empty where there are fewer CPUs than threads.
  static func choose(threads: Int) -> [Int] {
    let all = (0..<8192).lazy.filter { ProcessorSet.contains($0) }
    let chosen = Array(all.prefix(threads))
    return chosen.count == threads ? chosen : []
  }

  /// Ties the calling thread, and what it starts, to CPUs of `choose`.
  static func pin(to cpus: some Sequence<Int>) {
    var mask = [UInt8](repeating: 0, count: 1024)
    for cpu in cpus where cpu >= 0 && cpu < mask.count * 8 { mask[cpu >> 3] |= 1 << UInt8(cpu & 7) }
    if mask.contains(where: { $0 != 0 }) { _ = bsp_sched_setaffinity(0, UInt(mask.count), mask) }
  }
}
