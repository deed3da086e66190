import Platform

/// The nodes of a document while it is parsed: an append-only sequence in checked memory.
struct JSONTape: ~Copyable {
  /// Nodes, 4 MiB of them, between two looks at the monitor.
  private static let copiedAtOnce = 1 << 18

  private(set) var buffer: Buffer
  private(set) var nodes: UnsafeMutablePointer<JSONNode>
  private(set) var count = 0
  private var capacity: Int
  private let allocator: Allocator
  private let file: String
  private let monitor: Monitor

  init(capacity: Int, allocator: Allocator, file: String, monitor: Monitor) throws(BoneSoupError) {
    self.capacity = capacity
    self.allocator = allocator
    self.file = file
    self.monitor = monitor
    buffer = try Buffer(of: JSONNode.self, count: capacity, allocator: allocator, purpose: "the index of \(file)")
    nodes = buffer.elements()
  }

  @inline(__always)
  mutating func append(_ node: JSONNode) throws(BoneSoupError) {
    if count == capacity { try grow() }
    nodes[count] = node
    count &+= 1
  }

  @inline(never)
  private mutating func grow() throws(BoneSoupError) {
    let larger = try Buffer(
      of: JSONNode.self, count: capacity * 2, allocator: allocator, purpose: "the index of \(file)")
    let target = larger.elements(JSONNode.self)
    for start in stride(from: 0, to: count, by: Self.copiedAtOnce) {
      try monitor.check()
      (target + start).update(from: nodes + start, count: min(Self.copiedAtOnce, count - start))
    }
    buffer = larger
    nodes = target
    capacity *= 2
  }
}
