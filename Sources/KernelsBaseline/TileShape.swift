import CIntrinsics

/// How many tokens a tile takes, and whether all 32 rows of a panel: types, so that each tile is compiled by itself, its sums in registers.
protocol TileShape {
  static var tokens: Int { get }
  static var isPair: Bool { get }
}

protocol TileWidth {
  static var tokens: Int { get }
}

/// 16 rows of a panel.
enum Single<Width: TileWidth>: TileShape {
  static var tokens: Int { @inline(__always) get { Width.tokens } }
  static var isPair: Bool { @inline(__always) get { false } }
}

/// All rows of a panel.
enum Pair<Width: TileWidth>: TileShape {
  static var tokens: Int { @inline(__always) get { Width.tokens } }
  static var isPair: Bool { @inline(__always) get { true } }
}

enum Width1: TileWidth {
  static var tokens: Int { @inline(__always) get { 1 } }
}

enum Width2: TileWidth {
  static var tokens: Int { @inline(__always) get { 2 } }
}

enum Width3: TileWidth {
  static var tokens: Int { @inline(__always) get { 3 } }
}

enum Width4: TileWidth {
  static var tokens: Int { @inline(__always) get { 4 } }
}

enum Width6: TileWidth {
  static var tokens: Int { @inline(__always) get { 6 } }
}

enum Width8: TileWidth {
  static var tokens: Int { @inline(__always) get { 8 } }
}

enum Width12: TileWidth {
  static var tokens: Int { @inline(__always) get { 12 } }
}
