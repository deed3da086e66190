/// What long work owes its host: to look for a cancel every 50 ms of work at most, and to say how far it is.
public struct Monitor: @unchecked Sendable {
  public static let none = Monitor(token: nil, progress: nil)

  private let token: CancelToken?
  private let abandoned: Flag?
  private let progress: ((Double) -> Bool)?
  /// Whether a cancel was seen. It stays seen: a token may be freed, and then says no more, while some threads have left
  /// work undone for its sake.
  private let seen: Flag

  /// - Parameters:
  ///   - abandoned: raised where nobody wants the result any more, which counts as a cancel.
  ///   - progress: takes the share done, from 0 to 1; false cancels.
  public init(token: CancelToken?, abandoned: Flag? = nil, progress: ((Double) -> Bool)?) {
    self.init(token: token, abandoned: abandoned, progress: progress, seen: Flag())
  }

  private init(token: CancelToken?, abandoned: Flag?, progress: ((Double) -> Bool)?, seen: Flag) {
    self.token = token
    self.abandoned = abandoned
    self.progress = progress
    self.seen = seen
  }

  /// Once true, always true.
  public var isCancelled: Bool {
    if seen.isRaised { return true }
    guard token?.isCancelled ?? false || abandoned?.isRaised ?? false else { return false }
    seen.raise()
    return true
  }

  /// Throws where the host has cancelled.
  public func check() throws(BoneSoupError) {
    if isCancelled { throw .cancelled }
  }

  /// Tells the host, and throws where it has cancelled.
  public func report(_ share: Double) throws(BoneSoupError) {
    try check()
    if let progress, !progress(share) { throw .cancelled }
    // The callback may have cancelled, or let go of the result.
    try check()
  }

  /// Looks at the same cancel, and reports nothing.
  public var silent: Monitor { Monitor(token: token, abandoned: abandoned, progress: nil, seen: seen) }

  /// Maps a part of the whole, as in "the second of four files": share 0…1 of it is from…to of the whole.
  public func part(from: Double, to: Double) -> Monitor {
    guard let progress else { return self }
    return Monitor(
      token: token, abandoned: abandoned, progress: { progress(from + (to - from) * $0) }, seen: seen)
  }
}
