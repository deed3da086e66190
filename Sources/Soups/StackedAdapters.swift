import Checkpoints
public import Platform
public import Transformer

/// The adapters of all low-rank backbones of a soup. They are stacked when a live blend first needs them, so that building a
/// soup backbone by backbone does not stack them again and again.
public final class StackedAdapters: Sendable {
  private let adapters: [(backbone: Int, adapter: Adapter)]
  private let base: BaseModel
  private let engine: Engine
  private let stack = OnDemand<AdapterSet>()

  /// nil where no backbone is low-rank.
  init?(_ backbones: [Backbone], base: BaseModel, engine: Engine) {
    adapters = backbones.enumerated().compactMap { index, backbone in
      backbone.adapter.map { (backbone: index, adapter: $0) }
    }
    self.base = base
    self.engine = engine
    if adapters.isEmpty { return nil }
  }

  /// The stack; the first call makes it.
  ///
  /// - Parameter monitor: nothing is reported to it.
  public func stacked(monitor: Monitor) throws(BoneSoupError) -> AdapterSet {
    try stack.get(monitor: monitor) { () throws(BoneSoupError) in
      try AdapterSet(adapters, config: base.config, format: base.format, engine: engine, monitor: monitor.silent)
    }
  }

  /// Bytes of the stack, made or not.
  public var byteCount: Int {
    AdapterSet.byteCount(adapters, config: base.config, format: base.format, kernels: engine.kernels)
  }
}
