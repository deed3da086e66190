import CIntrinsics

/// How many terms a sum has, where the compiler is to know; 0 is any number.
protocol TermCount { static var count: Int { get } }

enum AnyTerms: TermCount { static var count: Int { @inline(__always) get { 0 } } }
enum OneTerm: TermCount { static var count: Int { @inline(__always) get { 1 } } }
enum TwoTerms: TermCount { static var count: Int { @inline(__always) get { 2 } } }
enum ThreeTerms: TermCount { static var count: Int { @inline(__always) get { 3 } } }
enum FourTerms: TermCount { static var count: Int { @inline(__always) get { 4 } } }

/// Sums of numbers of bf16, 32 at a time as 16 pairs. Up to four sources and their coefficients stay in registers.
struct PairSums<Count: TermCount> {
  private let terms: UnsafePointer<bsk_term>
  private let termCount: Int
  private let a: UnsafeRawPointer
  private let b: UnsafeRawPointer
  private let c: UnsafeRawPointer
  private let d: UnsafeRawPointer
  private let ca: bsk_f32x16
  private let cb: bsk_f32x16
  private let cc: bsk_f32x16
  private let cd: bsk_f32x16

  /// - Parameter termCount: at least 1.
  @inline(__always)
  init(_ terms: UnsafePointer<bsk_term>, _ termCount: Int) {
    self.terms = terms
    self.termCount = termCount
    (a, ca) = (terms[0].source, bsk_splat(terms[0].coefficient))
    (b, cb) = Count.count > 1 ? (terms[1].source, bsk_splat(terms[1].coefficient)) : (a, ca)
    (c, cc) = Count.count > 2 ? (terms[2].source, bsk_splat(terms[2].coefficient)) : (a, ca)
    (d, cd) = Count.count > 3 ? (terms[3].source, bsk_splat(terms[3].coefficient)) : (a, ca)
  }

  /// The sums of the first of each pair, and of the second.
  ///
  /// - Parameters:
  ///   - place: where in each source, in bytes.
  ///   - ahead: how many bytes further on to ask for.
  ///   - isNear: whether into the first-level cache, else the second.
  @inline(__always)
  func load(_ place: Int, ahead: Int, isNear: Bool = false) -> (first: bsk_f32x16, second: bsk_f32x16) {
    ask(a + (place &+ ahead), isNear)
    let pairs = bsk_load_u32(a + place)
    var sums = (first: bsk_multiply(ca, bsk_first_bf16(pairs)), second: bsk_multiply(ca, bsk_second_bf16(pairs)))
    if Count.count > 1 { add(b + place, cb, ahead, isNear, &sums) }
    if Count.count > 2 { add(c + place, cc, ahead, isNear, &sums) }
    if Count.count > 3 { add(d + place, cd, ahead, isNear, &sums) }
    var term = 1
    while Count.count == 0, term < termCount {
      add(terms[term].source + place, bsk_splat(terms[term].coefficient), ahead, isNear, &sums)
      term &+= 1
    }
    return sums
  }

  @inline(__always)
  private func add(
    _ source: UnsafeRawPointer, _ coefficient: bsk_f32x16, _ ahead: Int, _ isNear: Bool,
    _ sums: inout (first: bsk_f32x16, second: bsk_f32x16)
  ) {
    ask(source + ahead, isNear)
    let pairs = bsk_load_u32(source)
    sums.first = bsk_fma(coefficient, bsk_first_bf16(pairs), sums.first)
    sums.second = bsk_fma(coefficient, bsk_second_bf16(pairs), sums.second)
  }

  @inline(__always)
  private func ask(_ place: UnsafeRawPointer, _ isNear: Bool) {
    if isNear { bsk_prefetch_stream(place) } else { bsk_prefetch(place) }
  }

  /// Asks for a place of each source.
  @inline(__always)
  func prefetch(_ place: Int) {
    bsk_prefetch(a + place)
    if Count.count > 1 { bsk_prefetch(b + place) }
    if Count.count > 2 { bsk_prefetch(c + place) }
    if Count.count > 3 { bsk_prefetch(d + place) }
    var term = 1
    while Count.count == 0, term < termCount {
      bsk_prefetch(terms[term].source + place)
      term &+= 1
    }
  }
}
