import Glibc
import Kernels
public import Platform
import Soups
import Synchronization
import Transformer

/// Carries the generations of many sessions to their ends.
///
/// Threads share each product of a large model. A small one's are over sooner than threads could be told of them: there
/// each thread is a lane, which takes some sessions at a time through the whole model by itself. A text's bits do not depend
/// on its company, and so not on its lane.
public final class BatchGeneration: @unchecked Sendable {
  /// What became of a session.
  public struct Outcome {
    /// The new text, as far as it came; nil where its generation could not begin.
    public var text: GeneratedText?
    /// What ended it before its time.
    public var failure: BoneSoupError?
    fileprivate(set) var isOver = false
  }

  /// A session whose generation runs.
  private struct Member {
    let index: Int
    let session: Session
    let generation: RunningGeneration
    let text: GeneratedText
    let start: Double
  }

  /// Bytes of weights, adapters included, that every core can read for itself at no loss: they stay in its caches.
  private static let smallWeights = 8 << 20
  /// Sessions that a lane takes at a time: a few tiles of the kernels, enough to read the weights seldom, and few enough for
  /// keys and values to stay in the cache. Measured with 656K parameters: 12 to 64 are within 10 % of each other.
  private static let widthsOfSmall = 24...48
  private static let widths = 48...64

  private let sessions: [Session]
  private let monitor: Monitor
  private let caller = pthread_self()
  /// Whether other threads than the caller's may choose tokens.
  private let isFree: Bool
  private let laneCount: Int
  private let laneWidth: Int
  private let next = Atomic<Int>(0)
  private let finished = Atomic<Int>(0)
  /// The monitor's callback has cancelled.
  private let isStopped = Atomic<Bool>(false)
  /// Each written by the lane that has the session.
  private let outcomes: UnsafeMutableBufferPointer<Outcome>

  /// The sessions must be different ones, acquired by the caller. Hooks and the monitor's callback run on its thread.
  public static func run(_ sessions: [Session], monitor: Monitor) -> [Outcome] {
    let batch = BatchGeneration(sessions, monitor)
    if batch.laneCount > 1, let pool = sessions.first?.engine.pool {
      pool.run(parts: batch.laneCount) { _ in batch.runLane() }
    } else {
      batch.runLane()
    }
    if !sessions.isEmpty, !batch.isCancelled { batch.report() }
    return Array(batch.outcomes)
  }

  private init(_ sessions: [Session], _ monitor: Monitor) {
    self.sessions = sessions
    self.monitor = monitor
    let count = sessions.count
    let isSmall = sessions.allSatisfy { $0.weightBytes <= Self.smallWeights }
    isFree = sessions.allSatisfy { $0.generation?.options.hook == nil }
    let threads = sessions.first?.engine.pool.threadCount ?? 1
    laneCount = isSmall && isFree ? max(1, min(threads, count / 8)) : 1
    // The width with the least padding of tiles, and the fewest places left empty in the last round.
    let share = (count + laneCount - 1) / max(laneCount, 1)
    laneWidth =
      (isSmall ? Self.widthsOfSmall : Self.widths).min { Self.cost($0, share) < Self.cost($1, share) } ?? 1
    outcomes = .allocate(capacity: count)
    outcomes.initialize(repeating: Outcome(text: nil, failure: .cancelled))
  }

  deinit {
    outcomes.deinitialize()
    outcomes.deallocate()
  }

  /// Places of tokens in all rounds of a lane that has `share` sessions.
  private static func cost(_ width: Int, _ share: Int) -> Int {
    (share + width - 1) / width * TokenGroups(tokens: min(width, share)).places
  }

  private func runLane() {
    var running: [Member] = []
    running.reserveCapacity(laneWidth)
    while true {
      while running.count < laneWidth, let member = begin() { running.append(member) }
      if running.isEmpty || isCancelled { break }
      let computing = running.filter { $0.session.tokenCount < $0.session.context }
      var failures = Decoding.run(computing.map(\.session), monitor: monitor.silent)[...]
      let steps = running.map { member in
        (member, member.session.tokenCount < member.session.context ? failures.popFirst() ?? nil : nil)
      }
      choose(steps)
      running.removeAll { outcomes[$0.index].isOver }
      if pthread_equal(pthread_self(), caller) != 0 { report() }
    }
    for member in running { end(member, .cancelled) }
  }

  private var isCancelled: Bool { monitor.isCancelled || isStopped.load(ordering: .relaxed) }

  private func report() {
    let share = Double(finished.load(ordering: .relaxed)) / Double(sessions.count)
    if (try? monitor.report(share)) == nil { isStopped.store(true, ordering: .relaxed) }
  }

  /// Chooses the next token of each, with what kept it from being computed.
  private func choose(_ steps: [(member: Member, failure: BoneSoupError?)]) {
    guard laneCount == 1, isFree, let pool = sessions.first?.engine.pool else {
      for step in steps { advance(step.member, step.failure) }
      return
    }
    pool.run(parts: steps.count) { advance(steps[$0].member, steps[$0].failure) }
  }

  /// Takes the next session that can begin; nil where all are taken.
  private func begin() -> Member? {
    while !isCancelled {
      let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard index < sessions.count else { return nil }
      let session = sessions[index]
      do throws(BoneSoupError) {
        let generation = try session.runningGeneration()
        let text = try GeneratedText(
          topCount: generation.options.sampling.topLogProbabilities, allocator: session.engine.allocator)
        text.promptTokenCount = session.tokenCount
        text.prefilledTokenCount = session.pendingCount
        outcomes[index].text = text
        return Member(index: index, session: session, generation: generation, text: text, start: monotonicSeconds())
      } catch {
        outcomes[index].failure = error
        outcomes[index].isOver = true
        finished.wrappingAdd(1, ordering: .relaxed)
      }
    }
    return nil
  }

  private func advance(_ member: Member, _ failure: BoneSoupError?) {
    do throws(BoneSoupError) {
      if let failure { throw failure }
      let step = try member.generation.step(member.session)
      try member.text.append(step, top: member.generation.stepTop)
      try member.text.append(text: member.generation.stepText)
      if step.finish != .none { end(member, nil) }
    } catch {
      end(member, error)
    }
  }

  private func end(_ member: Member, _ failure: BoneSoupError?) {
    let (text, generation) = (member.text, member.generation)
    outcomes[member.index].failure = failure
    outcomes[member.index].isOver = true
    if let failure, generation.finish == .none {
      // The failure matters more than one of showing the last bytes.
      if (try? generation.breakOff(failure == .cancelled ? .cancelled : .error)) != nil {
        try? text.append(text: generation.stepText)
      }
    }
    text.finish = generation.finish
    text.decodeSeconds = monotonicSeconds() - member.start
    text.fingerprint = member.session.fingerprint.description
    finished.wrappingAdd(1, ordering: .relaxed)
  }
}
