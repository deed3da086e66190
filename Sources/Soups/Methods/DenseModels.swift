import Kernels

/// Base and models of one tensor that all lie in memory in one type: their task vectors need not be stored.
struct DenseModels: @unchecked Sendable {
  let type: ElementType
  let count: Int
  private let base: UnsafeRawPointer
  private let models: [UnsafeRawPointer]

  /// nil where one is of another kind, or there are too many.
  init?(_ tensor: MergeTensor) {
    guard let base = tensor.base as? MemorySource, (1...Kernels.mergedSources).contains(tensor.models.count) else {
      return nil
    }
    let models = tensor.models.compactMap { $0 as? MemorySource }
    let all = [base] + models
    guard models.count == tensor.models.count,
      all.allSatisfy({ $0.tensor.type == base.tensor.type && $0.tensor.count == tensor.count })
    else { return nil }
    type = base.tensor.type
    count = tensor.count
    self.base = base.start
    self.models = models.map(\.start)
  }

  var modelCount: Int { models.count }

  /// θ₀ from an element on, and θ of a model.
  func base(from element: Int) -> UnsafeRawPointer { base + element * type.byteCount }
  func model(_ index: Int, from element: Int) -> UnsafeRawPointer { models[index] + element * type.byteCount }
}

/// Which elements of a task vector are kept, by magnitude: those above `bits`, and of those with these bits the ones before
/// element `end`.
struct DeltaCut: Sendable, Equatable {
  let bits: UInt32
  let end: Int

  static let none = DeltaCut(bits: .max, end: .max)
  static let all = DeltaCut(bits: 0, end: .max)

  /// The least bits that are kept at an element.
  func low(at element: Int) -> UInt32 { element < end ? bits : bits + 1 }
}
