import CIntrinsics

/// The tokens of a matrix product, cut into groups that a tile takes at once.
///
/// The first `adaptedTokens` tokens are in groups of their own: their products go on with an adapter's. How tokens are
/// grouped shows in no result.
public struct TokenGroups: Sendable {
  let groups: [bsk_group]
  /// Of these, groups of adapted tokens, which come first.
  let adaptedCount: Int
  /// Places of all groups: `tokenBytes` for each is the size of a packed input.
  public let places: Int

  public var count: Int { groups.count }

  /// Places at most for that many tokens.
  public static func places(tokens: Int) -> Int { tokens + 8 }

  public init(tokens: Int, adaptedTokens: Int = 0) {
    var groups: [bsk_group] = []
    var places = 0
    var first = 0
    var adaptedCount = 0
    for end in [adaptedTokens, tokens] {
      while first < end {
        let width = Self.width(end - first)
        let count = min(width, end - first)
        groups.append(bsk_group(first: first, before: places, count: Int32(count), width: Int32(width)))
        first += count
        places += width
      }
      if end == adaptedTokens { adaptedCount = groups.count }
    }
    self.groups = groups
    self.adaptedCount = adaptedTokens == 0 ? 0 : adaptedCount
    self.places = places
  }

  private init(groups: [bsk_group]) {
    self.groups = groups
    adaptedCount = 0
    places = groups.last.map { $0.before + Int($0.width) } ?? 0
  }

  /// The groups of the adapted tokens alone.
  public var adapted: TokenGroups { TokenGroups(groups: Array(groups.prefix(adaptedCount))) }

  /// The tokens of a group.
  public func tokens(_ index: Int) -> Range<Int> {
    let group = groups[index]
    return group.first..<group.first + Int(group.count)
  }

  /// The groups as plain memory, valid during `body`: for threads that share them.
  public func withView<Result>(_ body: (View) -> Result) -> Result {
    groups.withUnsafeBufferPointer { body(View(groups: $0, adaptedCount: adaptedCount, places: places)) }
  }

  public struct View {
    let groups: UnsafeBufferPointer<bsk_group>
    let adaptedCount: Int
    public let places: Int

    public var count: Int { groups.count }

    /// The tokens of some groups, at least one.
    public func tokens(_ range: Range<Int>) -> Range<Int> {
      let last = groups[range.upperBound - 1]
      return groups[range.lowerBound].first..<last.first + Int(last.count)
    }
  }

  /// Twelve, while as many are left; two equal groups rather than a full and a small one.
  private static func width(_ rest: Int) -> Int {
    if rest > 12 && rest <= 16 { return 8 }
    for width in [1, 2, 3, 4, 6, 8] where rest <= width { return width }
    return 12
  }
}
