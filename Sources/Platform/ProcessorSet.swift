import CIntrinsics
import Glibc

/// The CPUs that a thread may run on.
public enum ProcessorSet {
  /// Room for 8192 CPUs: the kernel refuses a mask that is shorter than its own.
  private static let maskBytes = 1024

  /// Whether the calling thread may run on a CPU; every CPU counts where the system does not say.
  public static func contains(_ cpu: Int) -> Bool {
    guard cpu >= 0, cpu < maskBytes * 8 else { return false }
    return withUnsafeTemporaryAllocation(byteCount: maskBytes, alignment: 8) { mask in
      mask.initializeMemory(as: UInt8.self, repeating: 0)
      guard bsp_sched_getaffinity(0, UInt(maskBytes), mask.baseAddress) == 0 else { return true }
      return mask[cpu >> 3] & 1 << UInt8(cpu & 7) != 0
    }
  }

  /// How many CPUs the calling thread's affinity mask holds; 1 where the system does not say.
  public static var count: Int {
    withUnsafeTemporaryAllocation(byteCount: maskBytes, alignment: 8) { mask in
      mask.initializeMemory(as: UInt8.self, repeating: 0)
      guard bsp_sched_getaffinity(0, UInt(maskBytes), mask.baseAddress) == 0 else { return 1 }
      return max(1, mask.reduce(0) { $0 &+ $1.nonzeroBitCount })
    }
  }

  /// Ties the calling thread to one CPU. False where there is no such CPU for this process.
  @discardableResult static func pin(to cpu: Int) -> Bool {
    guard cpu >= 0, cpu < maskBytes * 8 else { return false }
    return withUnsafeTemporaryAllocation(byteCount: maskBytes, alignment: 8) { mask in
      mask.initializeMemory(as: UInt8.self, repeating: 0)
      mask[cpu >> 3] = 1 << UInt8(cpu & 7)
      return bsp_sched_setaffinity(0, UInt(maskBytes), mask.baseAddress) == 0
    }
  }
}
