import Checkpoints
import Platform
import Transformer

/// What is merged of the same models: a whole merge, or one slice.
struct MergePart: Sendable {
  let inputs: MergeInputs
  /// nil for a whole merge.
  let slice: Slice?

  struct Slice: Sendable {
    /// The first of its layers in the result.
    let start: Int
    let count: Int
    /// The first layer of the model at each place in the recipe.
    let firsts: [Int]
    let isFirst: Bool
    let isLast: Bool
    /// The first layer of `MergeInputs.reference`.
    let reference: Int
  }

  /// Opens the files of a recipe.
  static func all(
    _ recipe: MergeRecipe, _ declaration: MethodDeclaration, engine: Engine, monitor: Monitor
  ) throws(BoneSoupError) -> [MergePart] {
    guard let ranges = recipe.layers else {
      return [
        MergePart(inputs: try MergeInputs(recipe, declaration, engine: engine, monitor: monitor), slice: nil)
      ]
    }
    guard ranges.count == recipe.models.count else {
      throw .mismatch("\(recipe.models.count) models, and layers of \(ranges.count)")
    }
    let slices = try LayerRange.slices(ranges)
    var parts: [MergePart] = []
    var start = 0
    for (number, places) in slices.enumerated() {
      let inputs = try MergeInputs(recipe, declaration, slice: places, engine: engine, monitor: monitor)
      guard let place = inputs.referencePlace ?? places.first else { continue }
      let slice = Slice(
        start: start, count: ranges[place].count, firsts: ranges.map(\.first), isFirst: number == 0,
        isLast: number == slices.count - 1, reference: ranges[place].first)
      parts.append(MergePart(inputs: inputs, slice: slice))
      start += slice.count
    }
    return parts
  }

  /// The name in the result of a tensor of the reference; nil where it has no place there.
  func outputName(_ name: TensorName) -> String? {
    guard let slice else { return name.text }
    guard let layer = name.layer else {
      return (name.isBeforeLayers ? slice.isFirst : slice.isLast) ? name.text : nil
    }
    guard layer >= slice.reference, layer - slice.reference < slice.count else { return nil }
    return name.inLayer(slice.start + layer - slice.reference)
  }

  /// The name in a model of a tensor of the result.
  func sourceName(_ name: TensorName, place: Int) -> String {
    guard let slice, let layer = name.layer else { return name.text }
    return name.inLayer(slice.firsts[place] + layer - slice.start)
  }

  /// Where a tensor of the result stands between the first layer and the last, for gradients. As mergekit: 0 at the first
  /// and outside of all, 1 at the last and at an only one.
  func depth(_ name: TensorName, layerCount: Int) -> Double {
    guard let layer = name.layer else { return 0 }
    let (place, count) = slice.map { (layer - $0.start, $0.count) } ?? (layer, layerCount)
    return count > 1 ? Double(place) / Double(count - 1) : 1
  }

  /// Throws where the reference has no tensors in some layer of the slice.
  ///
  /// - Parameter seen: the layers of the result that have tensors.
  func requireLayers(_ seen: [Bool]) throws(BoneSoupError) {
    guard let slice else { return }
    for layer in slice.start..<slice.start + slice.count where !seen[layer] {
      throw .mismatch(
        "\(inputs.reference.path) has no layer \(layer - slice.start + slice.reference), which layer \(layer) of the result "
          + "is to be made of")
    }
  }
}

extension [MergePart] {
  /// What `config.json` has to say of the layers; nil where the reference's is right.
  func layerList(engine: Engine, monitor: Monitor) throws(BoneSoupError) -> LayerList? {
    guard let last = last?.slice else { return nil }
    var types: [String] = []
    for part in self {
      guard let slice = part.slice else { continue }
      let known = try LayerList.types(part.inputs.reference.folder, allocator: engine.allocator, monitor: monitor)
      for layer in slice.reference..<slice.reference + slice.count {
        types.append(layer < known.count ? known[layer] : LayerList.usualType)
      }
    }
    return LayerList(count: last.start + last.count, types: types)
  }
}
