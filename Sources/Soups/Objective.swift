import Platform

/// One thing that is rewarded, and its slider.
public struct Objective: Sendable, Equatable {
  /// How a reward is brought to a common scale: norm(r) = (r − mean) / deviation, fixed before training.
  public struct Normalization: Sendable, Equatable {
    public let mean: Double
    /// Above 0.
    public let deviation: Double

    public init(mean: Double, deviation: Double) throws(BoneSoupError) {
      guard mean.isFinite else { throw .invalidArgument("mean is \(mean); it must be a finite number") }
      guard deviation.isFinite, deviation > 0 else {
        throw .invalidArgument("std is \(deviation); it must be above 0")
      }
      self.mean = mean
      self.deviation = deviation
    }
  }

  /// 1 … 64 bytes without control characters; unique in the soup.
  public let name: String
  /// What a slider says; the name where nothing else was given.
  public var label: String
  public var description = ""
  /// μ_j where a caller states no preference at all; nil shares what the other objectives leave.
  public var defaultValue: Double?
  /// The guard rail on μ_j, and so the slider's range.
  public var minimum = 0.0
  public var maximum = 1.0
  /// Of the slider.
  public var step = 0.01
  /// The normalised reward below which monitoring alerts.
  public var floor: Double?
  public var normalization: Normalization?

  /// An objective with every option at its default.
  public init(name: String) throws(BoneSoupError) {
    try checkName(name, of: "an objective")
    self.name = name
    label = name
  }

  /// Throws `.invalidArgument` unless 0 ≤ min ≤ default ≤ max ≤ 1, step is above 0 and floor finite.
  public func check() throws(BoneSoupError) {
    let subject = "objective \"\(name)\":"
    for (key, value) in [("min", minimum), ("max", maximum)] where !(value >= 0 && value <= 1) {
      throw .invalidArgument("\(subject) \(key) is \(value); it must be between 0 and 1")
    }
    guard minimum <= maximum else {
      throw .guardRail("\(subject) min \(minimum) is above max \(maximum), which leaves no preference")
    }
    if let defaultValue, !(defaultValue >= minimum && defaultValue <= maximum) {
      throw .invalidArgument(
        "\(subject) default is \(defaultValue); it must be between min \(minimum) and max \(maximum)")
    }
    guard step > 0, step.isFinite else {
      throw .invalidArgument("\(subject) step is \(step); it must be above 0")
    }
    if let floor, !floor.isFinite {
      throw .invalidArgument("\(subject) floor is \(floor); it must be a finite number")
    }
  }
}
