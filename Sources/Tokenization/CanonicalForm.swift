import Platform

/// Canonical composition (NFC) and decomposition (NFD) of a text of any length (Unicode Standard Annex 15).
///
/// Most text stays as it is and is copied; what lies between two characters at which a text may be cut
/// (`CharacterClasses.Class.stable`) is decomposed, ordered by combining class and composed again. Linear in the text,
/// however many marks follow each other.
struct CanonicalForm: ~Copyable {
  /// A decomposed character with its combining class.
  private struct Mark: BitwiseCopyable {
    var scalar: Unicode.Scalar
    var combiningClass: UInt8
  }

  private let composes: Bool
  private let classes: CharacterClasses
  /// The decomposed part, and as much memory to order it in.
  private var marks: Vector<Mark>
  private var ordered: Vector<Mark>

  /// - Parameter composes: true is NFC, false NFD.
  init(composes: Bool, classes: CharacterClasses, allocator: Allocator) throws(BoneSoupError) {
    let marks = try Vector<Mark>(allocator: allocator, purpose: "the text to normalise")
    let ordered = try Vector<Mark>(allocator: allocator, purpose: "the text to normalise")
    self.composes = composes
    self.classes = classes
    self.marks = marks
    self.ordered = ordered
  }

  /// Appends the normalised form of `text`, which is valid UTF-8.
  mutating func append(_ text: UTF8Bytes, to output: inout Vector<UInt8>, monitor: Monitor) throws(BoneSoupError) {
    var position = 0
    /// Where the part that is not yet copied starts, and its last place to cut.
    var start = 0
    var cut = 0
    var nextCheck = 0
    while position < text.count {
      if position >= nextCheck {
        try monitor.check()
        nextCheck = position &+ 1 << 14
      }
      let scalar = UTF8Scalar(in: text, at: position)
      if isStable(scalar.value) {
        cut = position
        position &+= scalar.length
        continue
      }
      try output.append(contentsOf: UTF8Bytes(rebasing: text[start..<cut]))
      let end = try collect(text, from: cut, atLeastTo: position, monitor: monitor)
      try order(monitor: monitor)
      if composes { compose() }
      for index in 0..<marks.count { try appendScalar(marks[index].scalar.value, to: &output) }
      (start, cut, position) = (end, end, end)
    }
    try output.append(contentsOf: UTF8Bytes(rebasing: text[start..<text.count]))
  }

  /// Decomposed text is cut before ASCII only: its composed letters change.
  @inline(__always)
  private func isStable(_ scalar: UInt32) -> Bool {
    composes ? classes[scalar].contains(.stable) : scalar < 0x80
  }

  /// Decomposes from `start` into `marks`, up to the first place to cut at or after `minimum`, which it returns.
  private mutating func collect(
    _ text: UTF8Bytes, from start: Int, atLeastTo minimum: Int, monitor: Monitor
  ) throws(BoneSoupError) -> Int {
    marks.removeAll()
    var position = start
    while position < text.count {
      let decoded = UTF8Scalar(in: text, at: position)
      if position > start, position >= minimum, isStable(decoded.value) { break }
      if marks.count & 0xFFF == 0xFFF { try monitor.check() }
      position &+= decoded.length
      guard let scalar = Unicode.Scalar(decoded.value) else { continue }
      try CanonicalMapping.decompose(scalar) { (part) throws(BoneSoupError) in
        try marks.append(
          Mark(scalar: part, combiningClass: CanonicalMapping.combiningClass(part)))
      }
    }
    return position
  }

  /// The canonical order: each run of characters whose class is not 0 sorted by class, equal ones as they stand.
  private mutating func order(monitor: Monitor) throws(BoneSoupError) {
    var start = 0
    while start < marks.count {
      var end = start
      var isSorted = true
      while end < marks.count, marks[end].combiningClass != 0 {
        if end > start, marks[end].combiningClass < marks[end &- 1].combiningClass { isSorted = false }
        end &+= 1
      }
      if !isSorted {
        try monitor.check()
        try sort(start..<end)
      }
      start = end &+ 1
    }
  }

  /// Sorts by counting, so that a long run takes no longer for each mark than a short one.
  private mutating func sort(_ range: Range<Int>) throws(BoneSoupError) {
    ordered.removeAll()
    try ordered.reserve(range.count)
    var places = InlineArray<257, Int>(repeating: 0)
    for index in range { places[Int(marks[index].combiningClass) &+ 1] &+= 1 }
    for place in 1..<257 { places[place] &+= places[place &- 1] }
    let sorted = ordered.elements
    for index in range {
      let mark = marks[index]
      sorted[places[Int(mark.combiningClass)]] = mark
      places[Int(mark.combiningClass)] &+= 1
    }
    (marks.elements + range.lowerBound).update(from: sorted, count: range.count)
  }

  /// Canonical composition in place: a character joins the last starter unless one between them has the same or a
  /// higher class, or is a starter itself.
  private mutating func compose() {
    var starter: Int?
    var count = 0
    var lastClass: UInt8 = 0
    for index in 0..<marks.count {
      let mark = marks[index]
      if let place = starter {
        let isAdjacent = count == place &+ 1
        if isAdjacent || (lastClass != 0 && lastClass < mark.combiningClass),
          let composite = CanonicalMapping.compose(marks[place].scalar, mark.scalar)
        {
          marks[place].scalar = composite
          continue
        }
      }
      if mark.combiningClass == 0 { starter = count }
      lastClass = mark.combiningClass
      marks[count] = mark
      count &+= 1
    }
    marks.truncate(to: count)
  }
}
