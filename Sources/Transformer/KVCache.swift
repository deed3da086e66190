public import Kernels
public import Platform

/// How the keys and values of one model lie in memory.
public struct KVLayout: Sendable, Equatable {
  /// Positions in a block.
  public static let blockLength = CacheFormat.blockLength

  public let layers: Int
  public let heads: Int
  public let headSize: Int
  public let type: CacheFormat
  /// One head's keys, or values, of a block.
  let panelBytes: Int

  public init(_ config: ModelConfig, type: CacheFormat) throws(BoneSoupError) {
    guard type.takes(headSize: config.headSize) else {
      throw .unsupported(
        "keys and values in \(type.name) need a head size that is a multiple of 32, and the model's is "
          + "\(config.headSize); choose f16, bf16 or f32 for kv_format")
    }
    layers = config.layerCount
    heads = config.keyValueHeadCount
    headSize = config.headSize
    self.type = type
    panelBytes = type.panelBytes(headSize: headSize)
  }

  /// A block holds [layer][keys, values][head] panels.
  public var blockBytes: Int { layers * 2 * heads * panelBytes }
  var panelCount: Int { layers * 2 * heads }

  /// Bytes of a full cache of so many positions: its blocks, and the table of their panels.
  public func byteCount(capacity: Int) -> Int {
    let blocks = (capacity + Self.blockLength - 1) / Self.blockLength
    return blocks * (blockBytes + panelCount * MemoryLayout<UnsafeRawPointer?>.stride)
  }
}

/// Keys and values of 64 consecutive positions, in every layer.
final class KVBlock: Sendable {
  let buffer: Buffer

  init(_ layout: KVLayout, allocator: Allocator) throws(BoneSoupError) {
    buffer = try Buffer(byteCount: layout.blockBytes, allocator: allocator, purpose: "a block of the KV cache")
  }
}

/// The keys and values of one text, in blocks that forks share until one of them writes.
///
/// Used by one thread at a time.
public final class KVCache {
  public let layout: KVLayout
  /// Positions at most.
  public let capacity: Int
  private let allocator: Allocator
  private var blocks: [KVBlock] = []
  /// [panel][block]: where each panel of each block starts, for the attention kernel.
  private let table: Buffer
  private let tableWidth: Int

  public init(layout: KVLayout, capacity: Int, allocator: Allocator) throws(BoneSoupError) {
    self.layout = layout
    self.capacity = capacity
    self.allocator = allocator
    tableWidth = (capacity + KVLayout.blockLength - 1) / KVLayout.blockLength
    table = try Buffer(
      of: UnsafeRawPointer?.self, count: layout.panelCount * tableWidth, allocator: allocator,
      purpose: "the table of the KV cache")
  }

  /// Bytes of the blocks held, shared ones included.
  public var byteCount: Int { blocks.count * layout.blockBytes }
  /// Bytes of the table, which is there from the first.
  public var tableByteCount: Int { table.byteCount }

  /// A cache with the same contents; blocks are shared.
  public func fork() throws(BoneSoupError) -> KVCache {
    let copy = try KVCache(layout: layout, capacity: capacity, allocator: allocator)
    copy.blocks = blocks
    for index in blocks.indices { copy.enter(index) }
    return copy
  }

  /// Makes positions `from ..< to` writable: blocks are added, and shared ones copied.
  public func prepare(from: Int, to: Int) throws(BoneSoupError) {
    guard from >= 0, to <= capacity else {
      throw .contextFull("position \(to) is beyond the session's context of \(capacity)")
    }
    guard to > from else { return }
    for index in from / KVLayout.blockLength...(to - 1) / KVLayout.blockLength {
      if index >= blocks.count {
        blocks.append(try KVBlock(layout, allocator: allocator))
      } else if !isKnownUniquelyReferenced(&blocks[index]) {
        let copy = try KVBlock(layout, allocator: allocator)
        copy.buffer.pointer.copyMemory(from: blocks[index].buffer.pointer, byteCount: layout.blockBytes)
        blocks[index] = copy
      } else {
        continue
      }
      enter(index)
    }
  }

  /// Gives back the blocks that hold no position below `count`.
  public func truncate(to count: Int) {
    let kept = (max(count, 0) + KVLayout.blockLength - 1) / KVLayout.blockLength
    if kept < blocks.count { blocks.removeLast(blocks.count - kept) }
  }

  private func enter(_ index: Int) {
    let pointers = table.elements(UnsafeRawPointer?.self)
    for panel in 0..<layout.panelCount {
      pointers[panel * tableWidth + index] = UnsafeRawPointer(blocks[index].buffer.pointer + panel * layout.panelBytes)
    }
  }

  private func panel(_ layer: Int, _ values: Bool, _ head: Int) -> Int {
    (layer * 2 + (values ? 1 : 0)) * layout.heads + head
  }

  /// One head's keys (or values) block by block, indexed by absolute block number.
  func panels(layer: Int, values: Bool, head: Int) -> UnsafePointer<UnsafeRawPointer?> {
    UnsafePointer(table.elements(UnsafeRawPointer?.self) + panel(layer, values, head) * tableWidth)
  }

  /// Rounds the keys and values of all heads of one position, [head][head size] each, to the cache's type and keeps
  /// them. Different positions may be stored by different threads at the same time.
  func store(
    keys: UnsafePointer<Float>, values: UnsafePointer<Float>, layer: Int, position: Int, kernels: Kernels
  ) {
    let block = blocks[position / KVLayout.blockLength].buffer.pointer
    let slot = position % KVLayout.blockLength
    let (type, size) = (layout.type, layout.headSize)
    for head in 0..<layout.heads {
      let keyPanel = block + panel(layer, false, head) * layout.panelBytes
      let valuePanel = block + panel(layer, true, head) * layout.panelBytes
      kernels.storeKey(keys + head * size, format: type, headSize: size, slot: slot, panel: keyPanel)
      kernels.storeValue(values + head * size, format: type, headSize: size, slot: slot, panel: valuePanel)
    }
  }
}
