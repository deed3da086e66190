/// A value of a parameter for some tensors of some model, as mergekit's YAML has it.
public struct ParameterSetting: Sendable, Equatable {
  public let name: String
  /// The model's place in the recipe; nil is every model.
  public let model: Int?
  /// Only tensors whose names contain this; nil, or "*", is all.
  public let filter: String?
  /// One value, or a gradient: from the first layer to the last, linear in between. Tensors outside the layers take the
  /// first.
  public let values: [Double]

  public init(_ name: String, model: Int? = nil, filter: String? = nil, values: [Double]) {
    self.name = name
    self.model = model
    self.filter = filter
    self.values = values
  }

  /// The value for a tensor; nil where the setting is not for it.
  ///
  /// - Parameters:
  ///   - depth: 0 at the first layer and outside of them, 1 at the last.
  func value(tensor: String, depth: Double) -> Double? {
    if let filter, filter != "*", !tensor.utf8.contains(filter.utf8) { return nil }
    guard values.count > 1 else { return values.first }
    let place = depth * Double(values.count - 1)
    let lower = min(max(Int(exactly: place.rounded(.down)) ?? 0, 0), values.count - 1)
    let upper = min(lower + 1, values.count - 1)
    let share = place - Double(lower)
    return (1 - share) * values[lower] + share * values[upper]
  }
}

extension String.UTF8View {
  fileprivate func contains(_ other: String.UTF8View) -> Bool {
    let (own, wanted) = (Array(self), Array(other))
    guard wanted.count <= own.count else { return false }
    return (0...own.count - wanted.count).contains { own[$0..<$0 + wanted.count].elementsEqual(wanted) }
  }
}
