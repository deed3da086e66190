import Platform

/// Making preferences: by name, from defaults, by moving one slider.
extension PreferenceSolver {
  /// A preference by objectives' names: an absent objective counts 0; no value at all means `defaultPreference`.
  ///
  /// Throws `.notFound` for a name that no objective has, `.invalidArgument` for one given twice. The values are
  /// checked by `resolve`.
  public func preference(named values: [(name: String, value: Double)]) throws(BoneSoupError) -> [Double] {
    if values.isEmpty { return defaultPreference }
    var preference = [Double](repeating: 0, count: objectives.count)
    var isSet = [Bool](repeating: false, count: objectives.count)
    for (name, value) in values {
      guard let index = objectives.firstIndex(where: { $0.name == name }) else {
        let names = objectives.map { "\"\($0.name)\"" }.joined(separator: ", ")
        throw .notFound("there is no objective \"\(excerpt(name))\"; this soup has \(names)")
      }
      guard !isSet[index] else { throw .invalidArgument("the preference names objective \"\(name)\" twice") }
      preference[index] = value
      isSet[index] = true
    }
    return preference
  }

  /// The preference after one slider was moved: the others share the rest in their proportions, equally where all are
  /// 0.
  ///
  /// Guard rails are not looked at; `resolve` does. With one objective there is only one preference, and it stays.
  /// - Parameters:
  ///   - objective: index of the moved slider.
  ///   - value: where to, 0 … 1.
  ///   - current: a preference as for `resolve`.
  public func moving(
    _ objective: Int, to value: Double, from current: [Double]
  ) throws(BoneSoupError) -> [Double] {
    guard objectives.indices.contains(objective) else {
      throw .invalidArgument("there is no objective \(objective); this soup has \(objectives.count)")
    }
    guard value >= 0, value <= 1 else {
      throw .invalidArgument(
        "the preference for objective \"\(objectives[objective].name)\" is \(value); it must be between 0 and 1")
    }
    var (result, _) = try normalize(current)
    let others = result.indices.filter { $0 != objective }
    guard !others.isEmpty else { return [1] }
    let sum = others.reduce(0) { $0 + result[$1] }
    let rest = 1 - value
    for index in others { result[index] = sum > 0 ? result[index] / sum * rest : rest / Double(others.count) }
    result[objective] = value
    return result
  }

  /// Checks the length, the values and the sum, and divides by the sum where it is not 1.
  func normalize(_ preference: [Double]) throws(BoneSoupError) -> ([Double], PreferenceAdjustments) {
    guard preference.count == objectives.count else {
      throw .mismatch(
        "the preference has \(preference.count) values, but there are \(objectives.count) objectives")
    }
    for (value, objective) in zip(preference, objectives) where !(value >= 0 && value.isFinite) {
      throw .invalidArgument(
        "the preference for objective \"\(objective.name)\" is \(value); it must be 0 or more, and finite")
    }
    let sum = preference.reduce(0, +)
    let difference = (sum - 1).magnitude
    guard difference <= Self.sumTolerance + Self.exactSum else {
      throw .invalidArgument("the preference sums to \(sum); it must sum to 1, within \(Self.sumTolerance)")
    }
    // Adding 0 makes -0 plain.
    if difference <= Self.exactSum { return (preference.map { $0 + 0 }, []) }
    return (preference.map { $0 / sum + 0 }, difference > Self.rounding ? .renormalized : [])
  }

  /// The defaults divided by their sum; those not stated share equally what the stated ones leave of 1.
  static func normalizedDefaults(_ objectives: [Objective]) throws(BoneSoupError) -> [Double] {
    let stated = objectives.reduce(0) { $0 + ($1.defaultValue ?? 0) }
    let unstatedCount = objectives.count { $0.defaultValue == nil }
    let share = unstatedCount > 0 ? max(0, 1 - stated) / Double(unstatedCount) : 0
    let defaults = objectives.map { $0.defaultValue ?? share }
    let sum = defaults.reduce(0, +)
    guard sum > 0 else { throw .invalidArgument("every objective's default is 0, so there is no default preference") }
    return (sum - 1).magnitude <= exactSum ? defaults : defaults.map { $0 / sum }
  }
}
