import CIntrinsics

/// Row `row` of a panel of `rows` rows and k columns, as f32.
func unpackRow(
  _ format: UInt8, _ panel: UnsafeRawPointer, _ row: Int, _ rows: Int, _ k: Int, _ out: UnsafeMutablePointer<Float>
) {
  let lanes = rows > 16 ? 32 : 16
  switch format {
  case FormatCode.f32: unpack(F32.self, panel, row, lanes, k, out)
  case FormatCode.f16: unpack(F16.self, panel, row, lanes, k, out)
  case FormatCode.bf16:
    var column = 0
    while column < k {
      let pair = (panel + 4 &* (lanes &* (column >> 1) &+ row)).loadUnaligned(as: UInt32.self)
      out[column] = Float(bitPattern: column & 1 == 0 ? pair << 16 : pair & 0xffff_0000)
      column &+= 1
    }
  case FormatCode.q8_0: unpackBytes(Q8x32Panel.self, panel, row, k, out)
  case FormatCode.q8_128: unpackBytes(Q8x128Panel.self, panel, row, k, out)
  case FormatCode.q4_0:
    unpackBlocks(Q4x32Panel.self, panel, row, k, out) { block, column in
      let byte = (block + 64 &* ((column & 15) >> 2) + column & 3).load(as: UInt8.self)
      return Int32(column < 16 ? byte & 15 : byte >> 4) &- Q4x32Panel.offset
    }
  default: return
  }
}

@inline(__always)
private func unpack<Element: Format>(
  _: Element.Type, _ panel: UnsafeRawPointer, _ row: Int, _ lanes: Int, _ k: Int, _ out: UnsafeMutablePointer<Float>
) {
  var column = 0
  while column < k {
    out[column] = bsk_first(Element.load(panel + (lanes &* column &+ row) &* Element.byteCount, 1))
    column &+= 1
  }
}

@inline(__always)
private func unpackBytes<Panel: BytePanel>(
  _: Panel.Type, _ panel: UnsafeRawPointer, _ row: Int, _ k: Int, _ out: UnsafeMutablePointer<Float>
) {
  unpackBlocks(Panel.self, panel, row, k, out) { block, column in
    let byte = (block + 64 &* (column >> 2) + column & 3).load(as: UInt8.self)
    return Int32(Int8(truncatingIfNeeded: Int32(byte) &- Panel.offset))
  }
}

/// `integer` gives the number in a column of a block, the pointer being at the row's first byte.
@inline(__always)
private func unpackBlocks<Panel: BlockPanel>(
  _: Panel.Type, _ panel: UnsafeRawPointer, _ row: Int, _ k: Int, _ out: UnsafeMutablePointer<Float>,
  _ integer: (UnsafeRawPointer, Int) -> Int32
) {
  let half = panel + (row >> 4) &* Panel.halfBytes(k)
  let lane = row & 15
  var number = 0
  var column = 0
  while column < k {
    let block = half + Panel.blockOffset(number) + 4 &* lane
    let scale = bsk_first(F16.load(half + Panel.scaleOffset(number) + 2 &* lane, 1))
    let columns = min(k &- column, Panel.length)
    var i = 0
    while i < columns {
      out[column &+ i] = Float(integer(block, i)) * scale
      i &+= 1
    }
    number &+= 1
    column &+= Panel.length
  }
}
