import CIntrinsics

/// Queries of a tile at most.
var tileQueries: Int { @inline(__always) get { Int(BSK_QUERIES) } }

/// The sums of one query of a tile.
struct TileSums<W: PanelWords> {
  var a = W.zero
  var b = W.zero
  var c = W.zero
  var d = W.zero

  @inline(__always) init() {}

  @inline(__always)
  mutating func add(_ words: TileWords<W>, _ multipliers: UnsafeRawPointer, _ vectors: Int) {
    a = W.add(a, words.a, multipliers)
    if vectors > 1 { b = W.add(b, words.b, multipliers) }
    if vectors > 2 { c = W.add(c, words.c, multipliers) }
    if vectors > 2 { d = W.add(d, words.d, multipliers) }
  }

  @inline(__always)
  func store(_ target: UnsafeMutablePointer<Float>, _ vectors: Int) {
    W.store(a, target)
    if vectors > 1 { W.store(b, target + 16) }
    if vectors > 2 { W.store(c, target + 32) }
    if vectors > 2 { W.store(d, target + 48) }
  }
}

/// The words beside each other that a step of a tile takes; where there are fewer vectors, the first stands in.
struct TileWords<W: PanelWords> {
  let a: W.Word
  let b: W.Word
  let c: W.Word
  let d: W.Word

  @inline(__always)
  init(_ start: UnsafeRawPointer, _ vectors: Int, _ lanes: Int) {
    a = lanes == 16 ? W.load(start) : W.load(start, lanes)
    b = vectors > 1 ? W.load(start + 16 &* W.byteCount) : a
    c = vectors > 2 ? W.load(start + 32 &* W.byteCount) : a
    d = vectors > 2 ? W.load(start + 48 &* W.byteCount) : a
  }
}

/// A stretch of a panel, and what it is to be multiplied by.
struct PanelProducts<W: PanelWords> {
  /// The first word of the first lane.
  let words: UnsafeRawPointer
  /// From a lane's word to its next.
  let stride: Int
  /// Words of each lane.
  let count: Int
  /// Of each query.
  let multipliers: UnsafePointer<UnsafeRawPointer>
  /// Where the first word's multipliers are, in bytes after each.
  let offset: Int
  /// A stretch as long as this one, to be brought near meanwhile.
  let next: UnsafeRawPointer
  /// Whether it lies as this one does, with the same stride; else its words are one after the other.
  let isAlike: Bool

  @inline(__always)
  init(
    _: W.Type, _ words: UnsafeRawPointer, _ stride: Int, _ count: Int, _ multipliers: UnsafePointer<UnsafeRawPointer>,
    _ offset: Int, _ next: UnsafeRawPointer, isAlike: Bool = false
  ) {
    self.words = words
    self.stride = stride
    self.count = count
    self.multipliers = multipliers
    self.offset = offset
    self.next = next
    self.isAlike = isAlike
  }

  /// sums[64·m + lane] = Σ_i words[i][lane] · multipliers[m][i] for `lanes` lanes and m < `width`, i ascending from 0.
  ///
  /// Up to 15 sums behind the lanes asked for are overwritten. `width` is at most `tileQueries`.
  @inline(__always)
  func store(_ width: Int, _ lanes: Int, _ sums: UnsafeMutablePointer<Float>) {
    let wide = 16 &* W.vectors
    var lane = 0
    while lane &+ wide <= lanes {
      tile(width, lane, 0, sums + lane)
      lane &+= wide
    }
    while W.vectors > 2, lane &+ 32 <= lanes {
      tile(width, lane, 32, sums + lane)
      lane &+= 32
    }
    while lane < lanes {
      tile(width, lane, min(lanes &- lane, 16), sums + lane)
      lane &+= 16
    }
  }

  /// `lanes` lanes from `lane` on, at most 16, or 32 for two vectors; 0: as many as the widest tile has.
  @inline(never)
  private func tile(_ width: Int, _ lane: Int, _ lanes: Int, _ sums: UnsafeMutablePointer<Float>) {
    if width == 1 { return tile(1, lane, lanes, sums, ()) }
    if width == 2 { return tile(2, lane, lanes, sums, ()) }
    if tileQueries > 2 {
      if width == 3 { return tile(3, lane, lanes, sums, ()) }
      if width == 4 { return tile(4, lane, lanes, sums, ()) }
      if width == 5 { return tile(5, lane, lanes, sums, ()) }
      if width == 6 { return tile(6, lane, lanes, sums, ()) }
      if tileQueries > 6 { return tile(7, lane, lanes, sums, ()) }
    }
  }

  @inline(__always)
  private func tile(_ width: Int, _ lane: Int, _ lanes: Int, _ sums: UnsafeMutablePointer<Float>, _: Void) {
    if lanes == 0 {
      tile(width, W.vectors, lane, 16, sums)
    } else if W.vectors > 2, lanes == 32 {
      tile(width, 2, lane, 16, sums)
    } else {
      tile(width, 1, lane, lanes, sums)
    }
  }

  /// `width` and `vectors` are literals.
  @inline(__always)
  private func tile(_ width: Int, _ vectors: Int, _ lane: Int, _ lanes: Int, _ sums: UnsafeMutablePointer<Float>) {
    var t0 = TileSums<W>()
    var t1 = TileSums<W>()
    var t2 = TileSums<W>()
    var t3 = TileSums<W>()
    var t4 = TileSums<W>()
    var t5 = TileSums<W>()
    var t6 = TileSums<W>()
    let x0 = multipliers[0]
    let x1 = width > 1 ? multipliers[1] : x0
    let x2 = width > 2 ? multipliers[2] : x0
    let x3 = width > 3 ? multipliers[3] : x0
    let x4 = width > 4 ? multipliers[4] : x0
    let x5 = width > 5 ? multipliers[5] : x0
    let x6 = width > 6 ? multipliers[6] : x0
    var word = words + lane &* W.byteCount
    var near = next + (isAlike ? lane : lane &* count) &* W.byteCount
    let nearStride = isAlike ? stride : 16 &* vectors &* W.byteCount
    var i = offset
    let end = offset &+ count &* W.step
    while i < end {
      let w = TileWords<W>(word, vectors, lanes)
      t0.add(w, x0 + i, vectors)
      if width > 1 { t1.add(w, x1 + i, vectors) }
      if width > 2 { t2.add(w, x2 + i, vectors) }
      if width > 3 { t3.add(w, x3 + i, vectors) }
      if width > 4 { t4.add(w, x4 + i, vectors) }
      if width > 5 { t5.add(w, x5 + i, vectors) }
      if width > 6 { t6.add(w, x6 + i, vectors) }
      bsk_prefetch(near)
      if vectors &* W.byteCount > 4 { bsk_prefetch(near + 64) }
      if vectors &* W.byteCount > 8 { bsk_prefetch(near + 128) }
      if vectors &* W.byteCount > 8 { bsk_prefetch(near + 192) }
      near += nearStride
      word += stride
      i &+= W.step
    }
    t0.store(sums, vectors)
    if width > 1 { t1.store(sums + 64, vectors) }
    if width > 2 { t2.store(sums + 128, vectors) }
    if width > 3 { t3.store(sums + 192, vectors) }
    if width > 4 { t4.store(sums + 256, vectors) }
    if width > 5 { t5.store(sums + 320, vectors) }
    if width > 6 { t6.store(sums + 384, vectors) }
  }
}
