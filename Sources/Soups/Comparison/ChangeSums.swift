import Platform

/// What is summed over the elements of one tensor to compare the changes Δᵢ of n backbones, as a row of f64 numbers.
///
/// Counts are exact up to 2^53. Rows of parts of a tensor, and of tensors, are added.
struct ChangeSums: Sendable {
  let backboneCount: Int

  /// Numbers of a row: Σθ₀², the elements, those that two or more change, those of them with unlike signs, Σ|ΣΔᵢ|; for
  /// each backbone ΣΔᵢ², max |Δᵢ|, the elements changed, Σ|Δᵢ|; for each pair ΣΔᵢΔⱼ, the elements that both change, those
  /// of them with like signs.
  var width: Int { 5 + 4 * backboneCount + 3 * (backboneCount * (backboneCount - 1) / 2) }

  static let baseSquare = 0
  static let elements = 1
  static let shared = 2
  static let conflicting = 3
  static let summedMagnitude = 4

  func square(_ backbone: Int) -> Int { 5 + 4 * backbone }
  func largest(_ backbone: Int) -> Int { 6 + 4 * backbone }
  func changed(_ backbone: Int) -> Int { 7 + 4 * backbone }
  func magnitude(_ backbone: Int) -> Int { 8 + 4 * backbone }

  /// The first of a pair's three; `first` < `second`.
  func pair(_ first: Int, _ second: Int) -> Int {
    5 + 4 * backboneCount + 3 * (first * (2 * backboneCount - first - 1) / 2 + second - first - 1)
  }

  /// Adds one row to another.
  func add(_ row: UnsafePointer<Double>, to total: UnsafeMutablePointer<Double>) {
    for index in 0..<width {
      let isLargest = index >= 5 && index < 5 + 4 * backboneCount && (index - 5) % 4 == 1
      // NaN stays.
      total[index] =
        isLargest
        ? (row[index] > total[index] || row[index].isNaN ? row[index] : total[index])
        : total[index] + row[index]
    }
  }

  /// Adds the elements of one stretch.
  ///
  /// - Parameters:
  ///   - base: `count` numbers of θ₀.
  ///   - changes: the backbones' Δ, each `spacing` after the one before.
  ///   - signs: room for 2 · `count` bytes.
  func add(
    base: UnsafePointer<Float>, changes: UnsafePointer<Float>, spacing: Int, count: Int,
    signs: UnsafeMutablePointer<UInt8>, to row: UnsafeMutablePointer<Double>
  ) {
    row[Self.baseSquare] += productSum(base, base, count)
    row[Self.elements] += Double(count)
    let seen = signs
    let many = signs + count
    seen.update(repeating: 0, count: count)
    many.update(repeating: 0, count: count)
    for backbone in 0..<backboneCount {
      let change = changes + backbone * spacing
      row[square(backbone)] += productSum(change, change, count)
      row[changed(backbone)] += Double(Self.mark(change, count, seen, many))
      let (largest, magnitude) = Self.magnitudes(change, count)
      row[self.largest(backbone)] = max(row[self.largest(backbone)], Double(largest))
      row[self.magnitude(backbone)] += magnitude
      for other in 0..<backbone {
        let place = pair(other, backbone)
        let earlier = changes + other * spacing
        row[place] += productSum(earlier, change, count)
        let (both, alike) = Self.agreement(earlier, change, count)
        row[place + 1] += Double(both)
        row[place + 2] += Double(alike)
      }
    }
    var shared = 0
    var conflicting = 0
    var summed = 0.0
    for index in 0..<count {
      shared &+= many[index] > 1 ? 1 : 0
      conflicting &+= seen[index] == 3 ? 1 : 0
      var sum: Float = 0
      for backbone in 0..<backboneCount { sum += changes[backbone &* spacing &+ index] }
      summed += Double(sum.magnitude)
    }
    row[Self.shared] += Double(shared)
    row[Self.conflicting] += Double(conflicting)
    row[Self.summedMagnitude] += summed
  }

  /// Notes the sign of each change: 1 for above 0, 2 for below; returns how many there are.
  private static func mark(
    _ change: UnsafePointer<Float>, _ count: Int, _ seen: UnsafeMutablePointer<UInt8>,
    _ many: UnsafeMutablePointer<UInt8>
  ) -> UInt32 {
    var changed: UInt32 = 0
    for index in 0..<count {
      let bits = change[index].bitPattern
      let isChange: UInt8 = bits << 1 != 0 ? 1 : 0
      seen[index] |= isChange << UInt8(truncatingIfNeeded: bits >> 31)
      many[index] &+= isChange
      changed &+= UInt32(isChange)
    }
    return changed
  }

  private static func magnitudes(_ change: UnsafePointer<Float>, _ count: Int) -> (largest: Float, sum: Double) {
    var largest: Float = 0
    var sum = 0.0
    for index in 0..<count {
      let size = change[index].magnitude
      largest = size > largest || size.isNaN ? size : largest
      sum += Double(size)
    }
    return (largest, sum)
  }

  /// How many elements both change, and how many of them in the same direction.
  private static func agreement(
    _ first: UnsafePointer<Float>, _ second: UnsafePointer<Float>, _ count: Int
  ) -> (both: UInt32, alike: UInt32) {
    var both: UInt32 = 0
    var alike: UInt32 = 0
    for index in 0..<count {
      let (left, right) = (first[index].bitPattern, second[index].bitPattern)
      let isBoth: UInt32 = left << 1 != 0 && right << 1 != 0 ? 1 : 0
      both &+= isBoth
      alike &+= isBoth & ~((left ^ right) >> 31)
    }
    return (both, alike)
  }
}
