import Kernels
import Platform

/// A merge of task vectors in one go, from the models' memory to wherever its elements are wanted.
struct DirectMerge: Sendable {
  private let models: DenseModels
  private let cuts: [DeltaCut]
  /// Of each model: a factor of what is kept, and its weight.
  private let factors: [Float]
  private let elects: Bool
  private let lambda: Float

  /// nil where something has to be known of a whole tensor but its cuts, or the models don't lie in memory.
  init?(_ arithmetic: TaskVectorMerge, _ tensor: MergeTensor) throws(BoneSoupError) {
    guard arithmetic.thinning == .none || arithmetic.thinning == .magnitude, !tensor.values.flag("normalize"),
      !tensor.values.flag("rescale"), let models = DenseModels(tensor)
    else { return nil }
    let places = 0..<models.modelCount
    let wanted = places.map { model -> Int in
      let density = arithmetic.thinning == .none ? 1 : tensor.values.number("density", model: model)
      if density >= 1 { return models.count }
      return density <= 0 ? 0 : max(1, Int(density * Double(models.count)))
    }
    self.models = models
    cuts = try DeltaCuts.find(models, wanted: wanted, tensor: tensor)
    factors = places.flatMap { [1, Float(tensor.values.number("weight", model: $0))] as [Float] }
    elects = arithmetic.elects
    lambda = Float(tensor.values.number("lambda"))
  }

  /// Elements `range`. Any thread.
  func compute(_ range: Range<Int>, kernels: Kernels, into out: UnsafeMutablePointer<Float>) {
    var start = range.lowerBound
    while start < range.upperBound {
      // Up to where a model's last equal is kept.
      let end = cuts.reduce(range.upperBound) { start < $1.end ? min($0, $1.end) : $0 }
      withUnsafeTemporaryAllocation(of: UInt32.self, capacity: cuts.count) { lows in
        withUnsafeTemporaryAllocation(of: UnsafeRawPointer.self, capacity: cuts.count) { sources in
          for (index, cut) in cuts.enumerated() {
            lows.initializeElement(at: index, to: cut.low(at: start))
            sources.initializeElement(at: index, to: models.model(index, from: start))
          }
          guard let first = lows.baseAddress else { return }
          factors.withUnsafeBufferPointer { factors in
            guard let factors = factors.baseAddress else { return }
            kernels.mergeSources(
              type: models.type, UnsafeBufferPointer(sources), lows: first, factors: factors, elects: elects,
              lambda: lambda, base: models.base(from: start), count: end - start,
              into: out + (start - range.lowerBound))
          }
        }
      }
      start = end
    }
  }
}
