/// Divides a number of rows among those who want some.
enum FairShares {
  /// How many each gets: an equal part, or all it wants where that is less; what those leave is divided among the others.
  /// Where there are fewer rows than takers, those who stand first get one each.
  ///
  /// - Returns: the shares; their sum is the smaller of `total` and what is wanted in all.
  static func of(_ total: Int, among wanted: [Int]) -> [Int] {
    var shares = wanted.map { _ in 0 }
    var left = total
    var open = wanted.indices.filter { wanted[$0] > 0 }
    while left > 0, !open.isEmpty {
      let quota = max(1, left / open.count)
      for index in open {
        let rows = min(quota, wanted[index] - shares[index], left)
        shares[index] += rows
        left -= rows
      }
      open.removeAll { shares[$0] == wanted[$0] }
    }
    return shares
  }
}
