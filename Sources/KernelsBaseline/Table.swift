import CIntrinsics

/// The kernels of this instruction-set level.
public func kernelTable() -> bsk_kernels {
  bsk_kernels(
    matmul: matmul, pack_input: packInput, pack_rows: packRows, pack_sums: packSums,
    unpack_row: unpackRow, panel_bytes: panelBytes,
    token_bytes: tokenBytes, attention: attention, store_key: storeKey, store_value: storeValue, rms_norm: rmsNorm,
    rotate: rotate, silu_multiply: siluMultiply, add: add,
    softmax: softmax, log_sum_exp: logSumExp, exponential: exponential, weigh: weigh, widen: widen, narrow: narrow,
    scale: scale,
    scale_add: scaleAdd, merge: merge, first_non_finite: firstNonFinite,
    arithmetic_peak: arithmeticPeak, arithmetic_peak_operations: arithmeticPeakOperations, read_stream: readStream,
    merge_streams: mergeStreams,
    multiply_f64: multiplyDoubles, dot_f64: dotDoubles, scale_add_f64: scaleAddDoubles,
    rotate_rows_f64: rotateRows, product_sum: productSum, magnitude_sum: magnitudeSum, subtract: subtract,
    difference: difference, divide: divide, combine: combine, variance: variance,
    magnitude_histogram: magnitudeHistogram,
    magnitude_count: magnitudeCount, keep_magnitudes: keepMagnitudes,
    random_words: randomWords, keep_words: keepWords, draw: draw, prune_row: pruneRow, merge_deltas: mergeDeltas,
    count_deltas: countDeltas, merge_sources: mergeSources,
    keep_chosen: keepChosen, pack_chosen: packChosen, keep_packed: keepPacked)
}
