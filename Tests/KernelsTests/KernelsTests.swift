import Kernels
import Testing

@Suite struct SmokeTests {
  @Test(arguments: InstructionSet.allCases) func smoke(_ level: InstructionSet) throws {
    guard let kernels = Kernels(level) else { return }
    let (m, n, k) = (7, 9, 83)
    let x = (0..<m * k).map { Float($0 % 13) - 6 }
    let w = (0..<n * k).map { Float($0 % 7) - 3 }
    var y = [Float](repeating: 0, count: m * n)
    kernels.matmul(x: x, ldx: k, m: m, w: w, type: .f32, ldw: k, n: n, k: k, y: &y, ldy: n, accumulate: false)
    for i in 0..<m {
      for j in 0..<n { #expect(y[i * n + j] == (0..<k).reduce(Float(0)) { $0 + x[i * k + $1] * w[j * k + $1] }) }
    }
    let blocks = [w.withUnsafeBytes { $0.baseAddress }]
    var out = [Float](repeating: 9, count: 5)
    kernels.attention(
      query: x, headDim: 5, kBlocks: blocks, vBlocks: blocks, type: .f32, first: 2, last: 2, scale: 1, out: &out)
    #expect(out == Array(w[10..<15]))
    var p: [Float] = [1, 2, 3]
    let l = kernels.softmax(x: &p, count: 3)
    #expect(abs(l - 3.4076059) < 1e-6)
    #expect(abs(p[2] - 0.66524094) < 1e-6)
    let sc = sineCosine(1e6)
    #expect(abs(sc.sine - -0.3499935021712929597) < 1e-15)
    #expect(abs(sc.cosine - 0.9367521275331447870) < 1e-15)
  }
}
