public import Platform
import Soups
import Synchronization
import Transformer

/// Computes the pending tokens of any set of sessions together, prefills and single steps mixed.
///
/// Rows that share weights go through them in one pass: those of live blends with the base's, those of a folded blend
/// with each other's. A row's bits do not depend on its company (DESIGN §8).
public struct Decoding {
  public struct Options: Sendable {
    /// Positions to compute in all; nil is all that are pending.
    public var maximumRows: Int?
    /// Keeps the logits of every position computed, not of the last only.
    public var keepsAllLogits = false

    public init() {}
  }

  /// One session's part of the work.
  private struct Task {
    let session: Session
    let index: Int
    let end: Int
  }

  /// Sessions that go through the same weights.
  private struct Group {
    let base: BaseModel
    let engine: Engine
    let weights: ModelWeights
    var adapters: AdapterSet?
    var tasks: [Task]
  }

  /// Counts the runs of the process.
  private static let turns = Atomic<UInt64>(0)

  private let options: Options
  private let monitor: Monitor
  private var failures: [BoneSoupError?]
  /// How far each session was to be computed.
  private var ends: [Int]
  private var done = 0
  private var total = 0

  /// The sessions must be different ones, acquired by the caller.
  ///
  /// - Returns: what kept each session from being computed as far as was asked; nil where nothing did.
  public static func run(
    _ sessions: [Session], options: Options = Options(), monitor: Monitor
  ) -> [BoneSoupError?] {
    var decoding = Decoding(options: options, monitor: monitor, failures: sessions.map { _ in nil })
    do throws(BoneSoupError) {
      let groups = try decoding.groups(sessions)
      try monitor.report(0)
      for var group in groups {
        group.tasks.removeAll { decoding.failures[$0.index] != nil }
        do throws(BoneSoupError) {
          try decoding.compute(&group)
        } catch {
          if error == .cancelled { throw error }
          // One engine without memory does not hold up the others.
          for task in group.tasks { decoding.failures[task.index] = error }
        }
      }
    } catch {
      // What ended the whole is everybody's who was not computed as far as was asked.
      for index in sessions.indices
      where decoding.failures[index] == nil && sessions[index].computed < decoding.ends[index] {
        decoding.failures[index] = error
      }
    }
    return decoding.failures
  }

  private init(options: Options, monitor: Monitor, failures: [BoneSoupError?]) {
    self.options = options
    self.monitor = monitor
    self.failures = failures
    ends = failures.map { _ in 0 }
  }

  private mutating func groups(_ sessions: [Session]) throws(BoneSoupError) -> [Group] {
    var groups: [Group] = []
    ends = share(sessions)
    let turn = Self.turns.wrappingAdd(1, ordering: .relaxed).newValue
    for (index, session) in sessions.enumerated() where ends[index] > session.computed {
      let task = Task(session: session, index: index, end: ends[index])
      session.lastTurn = turn
      do throws(BoneSoupError) {
        let weights = try session.blend.weights()
        let base = session.blend.soup.base.weights
        try prepare(task)
        if session.computed < session.responseStart, weights !== base {
          Self.add(
            Task(session: session, index: index, end: min(task.end, session.responseStart)), base, nil, to: &groups)
        }
        if task.end > session.responseStart || weights === base {
          Self.add(task, weights, session.blend.adapters, to: &groups)
        }
        total += task.end - session.computed
      } catch {
        failures[index] = error
      }
    }
    // The base's part of a response-only text comes before the rest of it, which looks back at it.
    return groups.filter { $0.weights === $0.base.weights } + groups.filter { $0.weights !== $0.base.weights }
  }

  /// Puts a task with those that share its weights.
  private static func add(
    _ task: Task, _ weights: ModelWeights, _ adapters: AdapterSet?, to groups: inout [Group]
  ) {
    guard
      let place = groups.firstIndex(where: {
        $0.weights === weights && ($0.adapters === adapters || adapters == nil || $0.adapters == nil)
      })
    else {
      groups.append(
        Group(
          base: task.session.blend.soup.base, engine: task.session.engine, weights: weights, adapters: adapters,
          tasks: [task]))
      return
    }
    groups[place].tasks.append(task)
    groups[place].adapters = groups[place].adapters ?? adapters
  }

  /// How far each session goes: all the way, or an equal share of the rows allowed.
  private func share(_ sessions: [Session]) -> [Int] {
    guard let rows = options.maximumRows else { return sessions.map(\.tokenCount) }
    // Who waited longest comes first: with fewer rows than sessions, all get their turn over the calls.
    let order = sessions.indices.sorted { (sessions[$0].lastTurn, $0) < (sessions[$1].lastTurn, $1) }
    var ends = sessions.map(\.computed)
    for (index, share) in zip(order, FairShares.of(rows, among: order.map { sessions[$0].pendingCount })) {
      ends[index] += share
    }
    return ends
  }

  private func prepare(_ task: Task) throws(BoneSoupError) {
    let session = task.session
    try session.cache.prepare(from: session.computed, to: task.end)
    if options.keepsAllLogits {
      try session.kept.prepare(from: session.computed, count: task.end - session.computed)
    } else if task.end == session.tokenCount {
      try session.kept.prepare(from: task.end - 1, count: 1)
    } else {
      session.kept.removeAll()
    }
  }

  private mutating func compute(_ group: inout Group) throws(BoneSoupError) {
    while !group.tasks.isEmpty {
      var rows: [Row] = []
      var ends: [(session: Session, end: Int)] = []
      // Everybody's fair part of a pass: those who need a single step are not held up by long prompts.
      let shares = FairShares.of(
        ForwardPass.maximumRows, among: group.tasks.map { $0.end - $0.session.computed })
      for (task, share) in zip(group.tasks, shares) where share > 0 {
        let session = task.session
        let end = session.computed + share
        for position in session.computed..<end {
          rows.append(
            Row(
              token: session.tokens[position], position: position, cache: session.cache,
              gains: position < session.responseStart ? nil : session.blend.gains,
              logits: session.kept.destination(after: position)))
        }
        ends.append((session, end))
      }
      let weights = group.weights
      let adapters = group.adapters
      let monitor = monitor
      try group.base.withPass(group.engine) { (pass) throws(BoneSoupError) in
        try pass.run(rows, weights: weights, adapters: adapters, monitor: monitor)
      }
      for (session, end) in ends {
        session.computed = end
        session.kept.fill(to: end)
      }
      // Those who had no row in this pass come first in the next.
      let served = group.tasks.prefix(ends.count)
      group.tasks = group.tasks.dropFirst(ends.count) + served.filter { $0.session.computed < $0.end }
      done += rows.count
      try monitor.report(min(1, Double(done) / Double(max(total, 1))))
    }
  }
}
