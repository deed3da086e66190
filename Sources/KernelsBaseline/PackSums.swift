import CIntrinsics

/// Panels, one after the other, of `rows` rows that are Σ_t coefficient_t · source_t, summed in order as by `merge`. Each
/// source's rows are of `type` and follow each other without a gap. `out` is aligned to 64 bytes.
func packSums(
  _ format: UInt8, _ type: UInt8, _ terms: UnsafePointer<bsk_term>, _ termCount: Int, _ rows: Int, _ k: Int,
  _ out: UnsafeMutableRawPointer
) {
  // Two halves of a panel, or what a panel takes.
  withUnsafeTemporaryAllocation(byteCount: max(64 &* k, panelScratchBytes), alignment: 64) { buffer in
    guard let scratch = buffer.baseAddress else { return }
    switch type {
    case FormatCode.f32: packSums(RowSums<F32>(terms, termCount, k, k), format, rows, scratch, out)
    case FormatCode.f16: packSums(RowSums<F16>(terms, termCount, k, k), format, rows, scratch, out)
    case FormatCode.bf16: packSums(RowSums<BF16>(terms, termCount, k, k), format, rows, scratch, out)
    default: return
    }
  }
  bsk_fence()
}

@inline(__always)
private func packSums<Source: Format>(
  _ source: RowSums<Source>, _ format: UInt8, _ rows: Int, _ scratch: UnsafeMutableRawPointer,
  _ out: UnsafeMutableRawPointer
) {
  let k = source.columns
  var row = 0
  if format == FormatCode.bf16, Source.code == FormatCode.bf16, source.termCount > 0, !source.isPlain, k % 32 == 0 {
    row = rows & ~31
    packHalves(source, row, scratch, out)
  }
  while row < rows {
    packPanel(
      source.moved(rows: row), format, min(rows &- row, 32), k, 0, true, scratch,
      out + row / 32 &* panelBytes(format, k))
    row &+= 32
  }
}

@inline(__always)
private func packHalves<Source: Format>(
  _ source: RowSums<Source>, _ rows: Int, _ scratch: UnsafeMutableRawPointer,
  _ out: UnsafeMutableRawPointer
) {
  switch source.termCount {
  case 1: packHalves(OneTerm.self, source, rows, scratch, out)
  case 2: packHalves(TwoTerms.self, source, rows, scratch, out)
  case 3: packHalves(ThreeTerms.self, source, rows, scratch, out)
  case 4: packHalves(FourTerms.self, source, rows, scratch, out)
  default: packHalves(AnyTerms.self, source, rows, scratch, out)
  }
}

/// Panels of bf16, [k/2][32][2] each, of whole rows in 32s. The memory is to be busy all the time, and to be read from front
/// to back: half a panel is summed, line after line, between the blocks of the half before it that are turned.
@inline(__always)
private func packHalves<Count: TermCount, Source: Format>(
  _: Count.Type, _ source: RowSums<Source>, _ rows: Int, _ scratch: UnsafeMutableRawPointer,
  _ out: UnsafeMutableRawPointer
) {
  let (k, halves) = (source.columns, rows / 16)
  let sums = PairSums<Count>(source.terms, source.termCount)
  var (summed, next) = (scratch, scratch + 32 &* k)
  var place = 0
  var half = 0
  while half <= halves {
    let turned = half &- 1
    let target = out + ((turned >> 1) &* PairPanel.panelBytes(k) &+ (turned & 1) &* 64)
    var column = 0
    while column < k {
      if half < halves {
        var line = 0
        while line < 16 {
          let pairs = sums.load(place, ahead: 2048, isNear: true)
          bsk_store_u32(next + (32 &* column &+ 64 &* line), bsk_to_bf16_pairs(pairs.first, pairs.second))
          place &+= 64
          line &+= 1
        }
      }
      if half > 0 { bsk_transpose_u32(summed + 2 &* column, 2 &* k, 16, target + 64 &* column, 128, true) }
      column &+= 32
    }
    (summed, next) = (next, summed)
    half &+= 1
  }
}
