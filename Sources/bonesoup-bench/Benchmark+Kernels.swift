import Kernels

extension Benchmark {
  mutating func matrixKernels() throws(Failure) {}
}
