import Platform

/// The nodes of a document while it is parsed: an append-only sequence in checked memory.
struct JSONTape: ~Copyable {
  private(set) var buffer: Buffer
  private(set) var nodes: UnsafeMutablePointer<JSONNode>
  private(set) var count = 0
  private var capacity: Int
  private let allocator: Allocator
  private let file: String

  init(capacity: Int, allocator: Allocator, file: String) throws(BoneSoupError) {
    self.capacity = capacity
    self.allocator = allocator
    self.file = file
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
    larger.elements(JSONNode.self).update(from: nodes, count: count)
    buffer = larger
    nodes = larger.elements()
    capacity *= 2
  }
}
