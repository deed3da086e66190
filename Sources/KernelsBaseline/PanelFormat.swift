import CIntrinsics

/// Bytes of a panel of 32 rows of k weights; half as many of one of 16 rows or fewer.
func panelBytes(_ format: UInt8, _ k: Int) -> Int {
  switch format {
  case FormatCode.f32: ColumnPanel<F32>.panelBytes(k)
  case FormatCode.f16: ColumnPanel<F16>.panelBytes(k)
  case FormatCode.bf16: PairPanel.panelBytes(k)
  case FormatCode.q8_0: Q8x32Panel.panelBytes(k)
  case FormatCode.q4_0: Q4x32Panel.panelBytes(k)
  case FormatCode.q8_128: Q8x128Panel.panelBytes(k)
  default: 0
  }
}

/// Bytes of a token's k numbers in the input of a product with weights of the format.
func tokenBytes(_ format: UInt8, _ k: Int) -> Int {
  switch format {
  case FormatCode.f32, FormatCode.f16: ColumnPanel<F32>.tokenBytes(k)
  case FormatCode.bf16: bsk_has_bf16_dot() ? PairPanel.tokenBytes(k) : SplitPairPanel.tokenBytes(k)
  case FormatCode.q8_0: Q8x32Panel.tokenBytes(k)
  case FormatCode.q4_0: Q4x32Panel.tokenBytes(k)
  case FormatCode.q8_128: Q8x128Panel.tokenBytes(k)
  default: 0
  }
}
