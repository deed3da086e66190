import CIntrinsics

/// Each query of the call against the keys and values that its row sees: `AttentionCall` in Kernels says what goes in.
func attention(_ call: UnsafePointer<bsk_attention>) {
  switch call.pointee.format {
  case CacheCode.f32: attend(SingleCache<F32>.self, call.pointee)
  case CacheCode.f16: attend(SingleCache<F16>.self, call.pointee)
  case CacheCode.bf16: attend(PairCache.self, call.pointee)
  case CacheCode.q8_0: attend(ByteCache.self, call.pointee)
  default: return
  }
}

/// Points to a `bsk_attention_scratch`.
typealias Scratch = UnsafeMutableRawPointer

/// The raw values of `CacheFormat`.
enum CacheCode {
  static var f32: UInt8 { @inline(__always) get { 0 } }
  static var f16: UInt8 { @inline(__always) get { 1 } }
  static var bf16: UInt8 { @inline(__always) get { 2 } }
  static var q8_0: UInt8 { @inline(__always) get { 3 } }
}

/// In tiles of as many queries as the sums of leave room in the registers: some heads of one row, or all of some rows.
private func attend<Cache: CacheStorage>(_: Cache.Type, _ call: bsk_attention) {
  guard call.heads > 0, call.rows > 0, call.head_dim > 0, call.position >= 0, call.window > 0 else { return }
  let most = tileQueries
  var parts = 1
  while parts &* most < call.heads { parts &+= 1 }
  var rowsOfTile = 1
  while (rowsOfTile &+ 1) &* call.heads <= most { rowsOfTile &+= 1 }
  var room = bsk_uninitialised_room()
  withUnsafeMutablePointer(to: &room) { start in
    let scratch = bsk_scratch(start)
    var row = 0
    while row < call.rows {
      let rows = min(rowsOfTile, call.rows &- row)
      var head = 0
      var part = 0
      while head < call.heads {
        // What is left, shared out evenly.
        var heads = 1
        while heads &* (parts &- part) < call.heads &- head { heads &+= 1 }
        AttentionTile<Cache>(call, scratch, row, rows, head, heads).run()
        head &+= heads
        part &+= 1
      }
      row &+= rows
    }
  }
}
