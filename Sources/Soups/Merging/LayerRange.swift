import Platform

/// Layers of one model that go into a merge of slices, as mergekit calls it: the result's layers are those of slice 0, then of
/// slice 1, and so on, and each layer of a slice is merged of the slice's models, which have as many layers in it.
public struct LayerRange: Sendable, Equatable {
  public let slice: Int
  /// The model's layers `first` … `first` + `count` − 1.
  public let first: Int
  public let count: Int

  public init(slice: Int, first: Int, count: Int) {
    self.slice = slice
    self.first = first
    self.count = count
  }

  /// The most layers of a result.
  public static let limit = 65_536

  /// For each slice the places of its models, in their order.
  static func slices(_ ranges: [LayerRange]) throws(BoneSoupError) -> [[Int]] {
    var slices: [[Int]] = []
    var total = 0
    for (place, range) in ranges.enumerated() {
      guard range.slice == slices.count || range.slice == slices.count - 1 else {
        throw .invalidArgument(
          "model \(place) is of slice \(range.slice); slices are numbered from 0 on in the order of the models")
      }
      guard range.first >= 0, range.count > 0, range.first <= limit, range.count <= limit else {
        throw .invalidArgument(
          "model \(place) gives \(range.count) layers from layer \(range.first) on; 1 to \(limit) are possible")
      }
      if range.slice == slices.count {
        slices.append([])
        total += range.count
      }
      guard let first = (slices[range.slice] + [place]).first, ranges[first].count == range.count else {
        throw .invalidArgument(
          "the models of slice \(range.slice) give different numbers of layers to it; each of its layers is merged of "
            + "one layer of each of them")
      }
      slices[range.slice].append(place)
    }
    guard total <= limit else { throw .invalidArgument("the result would have \(total) layers; at most \(limit)") }
    return slices
  }
}
