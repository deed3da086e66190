// What measuring the machine's limits takes: streams through memory, and independent sums.
#ifndef CINTRINSICS_STREAMING_H
#define CINTRINSICS_STREAMING_H

#include "Vectors.h"

#pragma clang assume_nonnull begin

// Asks for the cache line at p, which need not be there, for one use.
BSK_INLINE void bsk_prefetch_stream(const void *p) { __builtin_prefetch(p, 0, 3); }

BSK_INLINE bsk_u32x16 bsk_add_u32(bsk_u32x16 a, bsk_u32x16 b) { return a + b; }
BSK_INLINE bsk_u32x16 bsk_xor_u32(bsk_u32x16 a, bsk_u32x16 b) { return a ^ b; }
BSK_INLINE uint32_t bsk_xor_lanes_u32(bsk_u32x16 v) { return __builtin_reduce_xor(v); }
BSK_INLINE int32_t bsk_xor_lanes_i32(bsk_i32x16 v) { return __builtin_reduce_xor(v); }

BSK_INLINE bsk_f32x16 bsk_float_bits(bsk_u32x16 v) { return (bsk_f32x16)v; }

// How many sums of 16 lanes stay in registers beside what is multiplied, and hide the latency of the additions: 4 or 12.
BSK_INLINE int32_t bsk_peak_accumulators(void) {
#if defined(__AVX512F__)
  return 12;
#else
  return 4;
#endif
}

#pragma clang assume_nonnull end

#endif
