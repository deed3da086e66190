import CIntrinsics

/// A matrix in panels of 32 rows, and the input that it is multiplied by, packed for its format.
public struct MatmulFactor {
  let factor: bsk_factor

  /// - Parameter panelBytes: `Kernels.panelBytes` of the format and columns.
  public init(
    panels: UnsafeRawPointer, format: WeightFormat, columns: Int, panelBytes: Int, input: UnsafeRawPointer
  ) {
    factor = bsk_factor(
      panels: panels, panel_bytes: panelBytes, input: input, k: columns, format: format.rawValue)
  }
}

extension Kernels {
  /// Rows of a panel; the last one of a matrix may have fewer, and takes half the room where it has 16 or fewer.
  public static let panelRows = 32

  /// y[i·ldy + j] = start + Σ_k x[i, k] · w[j, k], for the tokens i of `groups` and the rows j of panels `panels`.
  ///
  /// - Parameters:
  ///   - weights: a matrix of `rows` rows.
  ///   - adapter: further columns of the same rows, which the adapted tokens' sums go on with.
  ///   - groupRange: the groups to compute.
  ///   - start: what the sums start from: start[i·startStride + j]; nil is zero. It may be y itself.
  ///   - scratch: a panel of `columns` f32, or nil; with it large products in f16 are faster.
  ///
  /// Each element's bits depend on its row of x, its row of w, its start, and the adapter's only.
  @inline(__always)
  public func matmul(
    weights: MatmulFactor, adapter: MatmulFactor?, groups: TokenGroups.View, groupRange: Range<Int>,
    panels: Range<Int>, rows: Int, start: UnsafePointer<Float>?, startStride: Int, y: UnsafeMutablePointer<Float>,
    ldy: Int, scratch: UnsafeMutableRawPointer?
  ) {
    guard let all = groups.groups.baseAddress else { return }
    let first = all + groupRange.lowerBound
    guard let adapter else {
      return table.matmul(
        weights.factor, nil, first, groupRange.count, 0, panels.lowerBound, panels.upperBound, rows, start,
        startStride, y, ldy, scratch)
    }
    let adapted = max(0, min(groups.adaptedCount - groupRange.lowerBound, groupRange.count))
    withUnsafePointer(to: adapter.factor) {
      table.matmul(
        weights.factor, $0, first, groupRange.count, adapted, panels.lowerBound, panels.upperBound, rows, start,
        startStride, y, ldy, scratch)
    }
  }

  /// Bytes of a panel of 32 rows.
  public func panelBytes(_ format: WeightFormat, columns: Int) -> Int { table.panel_bytes(format.rawValue, columns) }

  /// Bytes of all panels of a matrix.
  public func matrixBytes(_ format: WeightFormat, rows: Int, columns: Int) -> Int {
    let half = panelBytes(format, columns: columns) / 2
    return (rows + Self.panelRows / 2 - 1) / (Self.panelRows / 2) * half
  }

  /// Bytes of a place in a packed input.
  public func tokenBytes(_ format: WeightFormat, columns: Int) -> Int { table.token_bytes(format.rawValue, columns) }

  /// Packs the tokens of one group, rows of x with stride `ldx`, into `input`, where all groups' tokens go: in the form
  /// that weights of `format` are multiplied by. f32 and f16 take f32, bf16 takes bf16 where the level multiplies such,
  /// quantised formats take numbers of 8 bits in blocks of the same length with scales in f32.
  public func packInput(
    _ format: WeightFormat, x: UnsafePointer<Float>, ldx: Int, columns: Int, groups: TokenGroups, index: Int,
    into input: UnsafeMutableRawPointer
  ) {
    let group = groups.groups[index]
    table.pack_input(
      format.rawValue, x + group.first * ldx, ldx, Int(group.count), Int(group.width), columns,
      input + group.before * table.token_bytes(format.rawValue, columns))
  }

  /// Makes columns `range` of a panel of `columns` columns from up to 32 rows of `type`, `ld` elements apart and starting at
  /// column range.lowerBound. The range starts at a multiple of 128 and ends at one or at the last column.
  ///
  /// - Parameters:
  ///   - count: rows: as many as the panel has.
  ///   - streams: the panel, aligned to 64 bytes, will not be read soon and goes past the caches.
  ///
  /// q8_0 and q4_0 have the values of ggml's reference quantisers. A block that holds an infinity or a NaN becomes NaN.
  public func packRows(
    _ format: WeightFormat, type: ElementType, rows: UnsafeRawPointer, ld: Int, count: Int, columns: Int,
    range: Range<Int>, streams: Bool = false, into panel: UnsafeMutableRawPointer
  ) {
    table.pack_rows(
      format.rawValue, type.rawValue, rows, ld, count, columns, range.lowerBound, range.count, streams, panel)
  }

  /// Makes panels, one after the other, of `rows` rows that are the sum of terms of `type`, with the bits of `merge`. The
  /// panels, aligned to 64 bytes, go past the caches where the format's kernel can. The terms, one at least, have sources that
  /// begin at the first row and hold rows without gaps. As `packRows`, of one term with coefficient 1.
  public func packSums(
    _ format: WeightFormat, type: ElementType, terms: UnsafeBufferPointer<MergeTerm>, rows: Int, columns: Int,
    into panels: UnsafeMutableRawPointer
  ) {
    guard let first = terms.baseAddress else { return }
    first.withMemoryRebound(to: bsk_term.self, capacity: terms.count) {
      table.pack_sums(format.rawValue, type.rawValue, $0, terms.count, rows, columns, panels)
    }
  }

  /// Row `row` of a panel of `rows` rows as f32.
  public func unpackRow(
    _ format: WeightFormat, panel: UnsafeRawPointer, row: Int, rows: Int, columns: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    table.unpack_row(format.rawValue, panel, row, rows, columns, out)
  }
}
