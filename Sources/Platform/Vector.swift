/// A growable sequence of plain values over `Buffer`: what `Array` would be if running out of memory were an error.
public struct Vector<Element: BitwiseCopyable>: ~Copyable {
  private var buffer: Buffer
  private let allocator: Allocator
  private let purpose: StaticString
  public private(set) var count = 0
  public private(set) var capacity: Int
  private let limit: Int

  /// - Parameters:
  ///   - limit: where known, how many elements there will be at most: no room is taken for more before they come.
  ///   - purpose: names the thing in an error, as in "the vocabulary".
  public init(
    capacity: Int = 16, limit: Int = .max, allocator: Allocator, purpose: StaticString
  ) throws(BoneSoupError) {
    self.capacity = max(min(capacity, limit), 1)
    self.limit = limit
    self.allocator = allocator
    self.purpose = purpose
    buffer = try Buffer(of: Element.self, count: self.capacity, allocator: allocator, purpose: "\(purpose)")
  }

  /// Valid until the next append.
  public var elements: UnsafeMutablePointer<Element> { buffer.elements(Element.self) }
  public var span: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: elements, count: count) }

  /// The element at `index`, which the caller has checked to be below `count`.
  public subscript(index: Int) -> Element {
    get { elements[index] }
    nonmutating set { elements[index] = newValue }
  }

  public mutating func reserve(_ wanted: Int) throws(BoneSoupError) {
    guard wanted > capacity else { return }
    let larger = max(wanted, min(limit, capacity > Int.max / 2 ? wanted : capacity * 2))
    let next = try Buffer(of: Element.self, count: larger, allocator: allocator, purpose: "\(purpose)")
    next.elements(Element.self).update(from: elements, count: count)
    buffer = next
    capacity = larger
  }

  public mutating func append(_ element: Element) throws(BoneSoupError) {
    if count == capacity { try reserve(count + 1) }
    elements[count] = element
    count += 1
  }

  public mutating func append(contentsOf source: UnsafeBufferPointer<Element>) throws(BoneSoupError) {
    guard let start = source.baseAddress, source.count > 0 else { return }
    guard source.count <= Int.max - count else { throw .outOfMemory("\(purpose) is too long") }
    let old = buffer
    try reserve(count + source.count)
    (elements + count).update(from: start, count: source.count)
    count += source.count
    // The source may lie in the old memory: it is kept until here.
    withExtendedLifetime(old) {}
  }

  /// Keeps the first `newCount` elements, and the memory.
  public mutating func truncate(to newCount: Int) { count = min(count, max(newCount, 0)) }

  public mutating func removeAll() { count = 0 }
}
