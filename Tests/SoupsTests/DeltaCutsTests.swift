import Checkpoints
import Kernels
import Platform
import TestSupport
import Testing
import Transformer

@testable import Soups

/// Cuts in task vectors that are never stored: what is kept is what a sort keeps, whatever the magnitudes are like.
@Suite struct DeltaCutsTests {
  /// Several blocks, and a rest.
  private static let count = 400_013

  enum Kind: CaseIterable, Sendable {
    case allDifferent, fewMagnitudes, oneOften, growing, unchanged
  }

  private static func deltas(_ kind: Kind) -> [Float] {
    var random = SplitMix(seed: 5)
    return (0..<count).map { index in
      let sign: Float = random.below(2) == 0 ? 1 : -1
      let number = Float(random.below(1 << 24)) * 0x1p-24
      return switch kind {
      case .allDifferent: sign * number
      case .fewMagnitudes: sign * Float(random.below(7)) * 0.125
      case .oneOften: sign * (number < 0.4 ? 0.25 : number)
      case .growing: sign * number * Float(index + 1) / Float(count)
      case .unchanged: 0
      }
    }
  }

  private static func view(_ values: [Float], _ name: String) throws -> MemorySource {
    let buffer = try Buffer(of: Float.self, count: values.count, allocator: .system, purpose: name)
    values.withUnsafeBufferPointer { source in
      if let first = source.baseAddress { buffer.elements(Float.self).update(from: first, count: values.count) }
    }
    return try MemorySource(TensorView(floats: buffer, name: name, shape: [values.count]))
  }

  @Test(arguments: Kind.allCases, [1, 3])
  func keepsWhatASortKeeps(_ kind: Kind, threads: Int) throws {
    let deltas = Self.deltas(kind)
    let engine = MergeFixture.engine(threads: threads)
    let shares = [0.00001, 0.2, 0.4, 0.59, 0.9]
    let model = try Self.view(deltas, "model")
    let tensor = MergeTensor(
      name: "weight", nameHash: 0,
      shape: MergeShape([Self.count], name: "weight", modelCount: 1, threadCount: threads),
      base: try Self.view([Float](repeating: 0, count: Self.count), "base"), models: [model], values: MethodValues(),
      seed: 0, sink: TaskMatrixSink(memory: try Buffer(byteCount: 4, allocator: .system, purpose: "nothing")),
      engine: engine, pool: engine.pool, monitor: .none, progress: MergeProgress(total: 1, monitor: .none))
    let models = try #require(DenseModels(tensor))
    let bits = deltas.map { $0.bitPattern & 0x7fff_ffff }
    let order = bits.indices.sorted { (bits[$0], $1) > (bits[$1], $0) }
    for share in shares {
      let wanted = max(1, Int(share * Double(Self.count)))
      let cut = try #require(try DeltaCuts.find(models, wanted: [wanted], tensor: tensor).first)
      var expected = [Bool](repeating: false, count: Self.count)
      for index in order.prefix(wanted) { expected[index] = true }
      #expect(bits.indices.allSatisfy { (bits[$0] >= cut.low(at: $0)) == expected[$0] }, "\(kind), \(wanted)")
    }
    #expect(engine.allocator.bytesInUse == 0)
  }
}
