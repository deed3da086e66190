public import Kernels
public import Platform
import Synchronization
public import Transformer

/// The soup at one point: immutable, shared by its sessions, told apart by its fingerprint.
public final class Blend: Sendable {
  public enum Kind: Int, Sendable {
    case folded = 1
    case live = 2
  }

  private enum Weights: Sendable {
    case ready(ModelWeights)
    case folding(BackgroundTask<ModelWeights>)
  }

  public let soup: Soup
  /// Kind, coefficients, weight format and memory.
  public let plan: Plan
  /// What a live blend adds to the weights; nil where it adds nothing.
  public let gains: LiveGains?
  /// What the gains are of; nil without them.
  public let adapters: AdapterSet?
  public let fingerprint: Fingerprint
  private let weightsState: Weights
  private let foldProgress: ProgressShare

  /// How far a fold is, from any thread.
  private final class ProgressShare: Sendable {
    private let bits = Atomic<UInt64>(0)
    var value: Double {
      get { Double(bitPattern: bits.load(ordering: .relaxed)) }
      set { bits.store(newValue.bitPattern, ordering: .relaxed) }
    }
  }

  /// What a blend would be, without making it.
  public struct Plan: Sendable {
    public let kind: Kind
    public let resolution: Resolution
    /// The run-time format of the weights.
    public let format: WeightFormat
    /// Condition number of the backbone matrix; 0 where coefficients were given.
    public let condition: Double
    /// Bytes of large memory that the blend takes.
    public let byteCount: Int
    /// How its weights are made; nil is the plain sum.
    public let method: BlendMethod?
    /// Bytes of large memory that making it takes beside.
    public let workByteCount: Int
  }

  /// Makes a blend. A fold runs here, or in the background where the request says so.
  ///
  /// - Parameters:
  ///   - token: cancels a fold, or the stacking of the adapters.
  ///   - progress: of a fold; on a thread of the library where it is in the background.
  public init(
    _ soup: Soup, _ request: BlendRequest, token: CancelToken?, progress: ((Double) -> Bool)?
  ) throws(BoneSoupError) {
    let plan = try soup.plan(request)
    self.soup = soup
    self.plan = plan
    fingerprint = soup.fingerprint(
      kind: plan.kind, format: plan.format, coefficients: plan.resolution.coefficients, request.layerMultipliers,
      plan.method)
    let share = ProgressShare()
    foldProgress = share
    guard plan.kind == .folded else {
      if let stack = soup.adapters, plan.resolution.coefficients.contains(where: { $0 != 0 }) {
        adapters = try stack.stacked(monitor: Monitor(token: token, progress: nil))
        gains = LiveGains(
          coefficients: plan.resolution.coefficients, layerMultipliers: request.layerMultipliers,
          layerCount: soup.base.config.layerCount)
      } else {
        adapters = nil
        gains = nil
      }
      weightsState = .ready(soup.base.weights)
      share.value = 1
      return
    }
    adapters = nil
    gains = nil
    let abandoned = Flag()
    let progress = UncheckedSendable(progress)
    let monitor = Monitor(token: token, abandoned: abandoned) { done in
      share.value = done
      return progress.value?(done) ?? true
    }
    let engine = soup.engine
    func fold(_ pool: ThreadPool) -> Fold {
      Fold(
        base: soup.base, backbones: soup.backbones, coefficients: plan.resolution.coefficients,
        baseShare: plan.resolution.baseShare, format: plan.format, engine: engine, pool: pool,
        method: plan.method)
    }
    if request.isInBackground {
      let work = fold(engine.backgroundPool)
      weightsState = .folding(
        try BackgroundTask(abandoned: abandoned, cpu: engine.pool.cpus.first) { () throws(BoneSoupError) in
          try work.run(monitor: monitor)
        })
    } else {
      weightsState = .ready(try fold(engine.pool).run(monitor: monitor))
      share.value = 1
    }
  }

  public var resolution: Resolution { plan.resolution }

  /// Share of the fold that is done, 0 to 1.
  public var progress: Double { foldProgress.value }

  /// The weights to compute with. Throws `.notReady` during a fold, and what a fold failed with.
  public func weights() throws(BoneSoupError) -> ModelWeights { try weights(within: 0) }

  /// Waits for a fold, at most so long (nil: for ever).
  public func weights(within milliseconds: UInt32?) throws(BoneSoupError) -> ModelWeights {
    switch weightsState {
    case .ready(let weights): return weights
    case .folding(let task):
      guard let result = task.wait(milliseconds: milliseconds) else {
        throw .notReady("the blend is being folded (\(Int(exactly: (progress * 100).rounded()) ?? 0) %); wait for it")
      }
      return try result.get()
    }
  }
}

/// A host's callback, which the host promised may run on another thread.
private struct UncheckedSendable<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}
