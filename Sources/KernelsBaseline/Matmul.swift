import CIntrinsics

/// y[i·ldy + j] = start + Σ_k x[i, k] · w[j, k] for the tokens of `groups` and the rows of panels `panels` of a matrix of
/// `rows` rows; then, for the first `adaptedGroups` groups, the products of `adapter`, whose panels stand for the same
/// rows, are summed on.
///
/// One order for every element: each of its sums is a lane of its own, k ascending (in a quantised format by whole
/// blocks). Nothing of it depends on the other tokens, the other rows, or where in a tile the element stands.
///
/// `scratch`, of a panel in f32: f16, which every multiplication would have to widen, is widened there once where there are
/// groups enough.
func matmul(
  _ weights: bsk_factor, _ adapter: UnsafePointer<bsk_factor>?, _ groups: UnsafePointer<bsk_group>, _ groupCount: Int,
  _ adaptedGroups: Int, _ firstPanel: Int, _ endPanel: Int, _ rows: Int, _ start: UnsafePointer<Float>?,
  _ startStride: Int, _ y: UnsafeMutablePointer<Float>, _ ldy: Int, _ scratch: UnsafeMutableRawPointer?
) {
  var panel = firstPanel
  while panel < endPanel {
    let left = rows &- 32 &* panel
    var own = weights
    own.panels += panel &* weights.panel_bytes
    if bsk_widens(), weights.format == FormatCode.f16, let scratch, groupCount >= 4 {
      widen(FormatCode.f16, own.panels, (left > 16 ? 32 : 16) &* own.k, scratch.assumingMemoryBound(to: Float.self))
      own.format = FormatCode.f32
      own.panels = UnsafeRawPointer(scratch)
    }
    var index = 0
    while index < groupCount {
      let group = groups[index]
      let token = group.first
      let output = TileOutput(
        y: y + token &* ldy + 32 &* panel, stride: ldy,
        start: start.map { $0 + token &* startStride + 32 &* panel }, startStride: startStride,
        tokens: Int(group.count), rows: left)
      let ahead = Ahead(
        of: weights.panels + (panel &+ 1) &* weights.panel_bytes, weights.panel_bytes, group: index, of: groupCount)
      multiply(own, group, ahead, output)
      if let adapter, index < adaptedGroups {
        let rest = TileOutput(
          y: output.y, stride: ldy, start: UnsafePointer(output.y), startStride: ldy, tokens: output.tokens,
          rows: left)
        var further = adapter.pointee
        further.panels += panel &* further.panel_bytes
        multiply(further, group, Ahead(further.panels, 0), rest)
      }
      index &+= 1
    }
    panel &+= 1
  }
}

/// One group of tokens by the first panel of the factor.
@inline(__always)
private func multiply(_ factor: bsk_factor, _ group: bsk_group, _ ahead: Ahead, _ output: TileOutput) {
  let (panel, x, k) = (factor.panels, factor.input, factor.k)
  switch factor.format {
  case FormatCode.f32: ColumnPanel<F32>.multiply(group, panel, x, k, ahead, output)
  case FormatCode.f16: ColumnPanel<F16>.multiply(group, panel, x, k, ahead, output)
  case FormatCode.bf16:
    if bsk_has_bf16_dot() {
      PairPanel.multiply(group, panel, x, k, ahead, output)
    } else {
      SplitPairPanel.multiply(group, panel, x, k, ahead, output)
    }
  case FormatCode.q8_0: halves(Q8x32Panel.self, group, factor, ahead, output)
  case FormatCode.q4_0: halves(Q4x32Panel.self, group, factor, ahead, output)
  case FormatCode.q8_128: halves(Q8x128Panel.self, group, factor, ahead, output)
  default: return
  }
}

@inline(__always)
private func halves<Panel: BlockPanel>(
  _: Panel.Type, _ group: bsk_group, _ factor: bsk_factor, _ ahead: Ahead, _ output: TileOutput
) {
  guard output.rows > 16 else { return Panel.multiply(group, factor.panels, factor.input, factor.k, ahead, output) }
  Panel.multiply(group, factor.panels, factor.input, factor.k, ahead.half(0), output)
  Panel.multiply(
    group, factor.panels + factor.panel_bytes / 2, factor.input, factor.k, ahead.half(1),
    output.moved(rows: 16))
}
