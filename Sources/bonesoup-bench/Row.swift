/// One line of the result.
struct Row {
  /// What the machine allows, in the row's unit.
  typealias Limit = (Limits) -> Double

  let name: String
  let samples: Samples
  let unit: String
  /// Nil where there is no such limit. Asked when all is measured: limits are measured at the beginning and the end.
  var limit: Limit?
  /// Of a time, a loss or a size less is better, and the limit is below the value.
  var lessIsBetter = false

  var value: Double { samples.median }

  /// How much of a limit was reached, 1 being all.
  func share(of limit: Double?) -> Double? {
    guard let limit, limit > 0, limit.isFinite, value > 0 else { return nil }
    return lessIsBetter ? limit / value : value / limit
  }
}
