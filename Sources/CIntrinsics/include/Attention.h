// What only attention and its cache need.
#ifndef CINTRINSICS_ATTENTION_H
#define CINTRINSICS_ATTENTION_H

#include "Dot.h"

#pragma clang assume_nonnull begin
// Vectors wider than the registers, which pass between functions that are always inlined.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

typedef uint8_t bsk_u8x16 __attribute__((ext_vector_type(16)));
typedef int16_t bsk_i16x32 __attribute__((ext_vector_type(32)));

// How many queries a tile has at most, and how many vectors of positions or columns beside each other: as many as leave
// the sums in registers.
#if defined(__AVX512F__)
#define BSK_QUERIES 7
#define BSK_VECTORS 4
#elif defined(__AVX2__) || defined(__aarch64__)
#define BSK_QUERIES 6
#define BSK_VECTORS 1
#else
#define BSK_QUERIES 2
#define BSK_VECTORS 1
#endif
// The most queries of any level.
#define BSK_MOST_QUERIES 7

// What one tile of queries needs besides the queries and the results; each array holds a row for each query. Swift
// sees its parts through the functions below.
typedef struct bsk_attention_scratch {
  // Scores of a block's 64 positions, then their exponentials.
  bsk_f32x16 weights[BSK_MOST_QUERIES * 4];
  // Sums of products over a block.
  bsk_f32x16 sums[BSK_MOST_QUERIES * 4];
  // The exponentials in the form that multiplies values.
  bsk_f32x16 factors[BSK_MOST_QUERIES * 4];
  // Running sums of the exponentials, lane by lane.
  bsk_f32x16 totals[BSK_MOST_QUERIES];
  // Per query: the greatest score so far, and what its block multiplied the sums before by.
  float most[16];
  float corrections[16];
  // And how far, as exponents of 2, the block's greatest score is from it.
  float peaks[16];
  const void *_Nullable queries[BSK_MOST_QUERIES];
  const void *_Nullable factor_rows[BSK_MOST_QUERIES];
  float *_Nullable outs[BSK_MOST_QUERIES];
} bsk_attention_scratch;

// Room on the stack for one, which Swift can make.
typedef struct {
  uint64_t words[(sizeof(bsk_attention_scratch) + 63) / 8];
} bsk_attention_room;

// Clearing it would take longer than a head of a short text.
BSK_INLINE bsk_attention_room bsk_uninitialised_room(void) {
  bsk_attention_room room;
  return room;
}

BSK_INLINE void *bsk_scratch(bsk_attention_room *room) { return (void *)(((uintptr_t)room + 63) & ~(uintptr_t)63); }

#define BSK_SCRATCH ((bsk_attention_scratch *)scratch)
BSK_INLINE float *bsk_weights(void *scratch) { return (float *)BSK_SCRATCH->weights; }
BSK_INLINE float *bsk_sums(void *scratch) { return (float *)BSK_SCRATCH->sums; }
BSK_INLINE void *bsk_factors(void *scratch) { return BSK_SCRATCH->factors; }
BSK_INLINE float *bsk_totals(void *scratch) { return (float *)BSK_SCRATCH->totals; }
BSK_INLINE float *bsk_most(void *scratch) { return BSK_SCRATCH->most; }
BSK_INLINE float *bsk_corrections(void *scratch) { return BSK_SCRATCH->corrections; }
BSK_INLINE float *bsk_peaks(void *scratch) { return BSK_SCRATCH->peaks; }
BSK_INLINE const void *_Nonnull *_Nonnull bsk_queries(void *scratch) {
  return (const void *_Nonnull *_Nonnull)BSK_SCRATCH->queries;
}
BSK_INLINE const void *_Nonnull *_Nonnull bsk_factor_rows(void *scratch) {
  return (const void *_Nonnull *_Nonnull)BSK_SCRATCH->factor_rows;
}
BSK_INLINE float *_Nonnull *_Nonnull bsk_outs(void *scratch) { return (float *_Nonnull *_Nonnull)BSK_SCRATCH->outs; }
#undef BSK_SCRATCH

BSK_INLINE bsk_u32x16 bsk_load_u32_partial(const void *p, intptr_t n) { return (bsk_u32x16)bsk_load_f32_partial(p, n); }

BSK_INLINE void bsk_store_u8(void *p, bsk_u8x16 v) { __builtin_memcpy(p, &v, sizeof v); }

BSK_INLINE bsk_i32x16 bsk_load_i32(const void *p) { return (bsk_i32x16)bsk_load_u32(p); }
BSK_INLINE void bsk_store_i32(void *p, bsk_i32x16 v) { bsk_store_u32(p, (bsk_u32x16)v); }

BSK_INLINE bsk_i32x16 bsk_zero_i32(void) { return (bsk_i32x16)(0); }
BSK_INLINE bsk_i32x16 bsk_add_i32(bsk_i32x16 a, bsk_i32x16 b) { return a + b; }
BSK_INLINE bsk_u32x16 bsk_zero_u32(void) { return (bsk_u32x16)(0); }

// Brings the line of `p`, which may be any address, nearer.
BSK_INLINE void bsk_prefetch(const void *p) { __builtin_prefetch(p, 0, 2); }

// Brings the line of `p` to the first-level cache, to be written where the level has an instruction that says so.
BSK_INLINE void bsk_prefetch_write(void *p) { __builtin_prefetch(p, 1, 3); }

// The greater per lane, b where either is NaN.
BSK_INLINE bsk_f32x16 bsk_greater(bsk_f32x16 a, bsk_f32x16 b) { return a > b ? a : b; }

// Lanes low ..< high of v, and of the others `filler`.
BSK_INLINE bsk_f32x16 bsk_keep_range(bsk_f32x16 v, intptr_t low, intptr_t high, bsk_f32x16 filler) {
  bsk_i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  bsk_i32x16 mask = (lane >= (bsk_i32x16)((int32_t)low)) & (lane < (bsk_i32x16)((int32_t)high));
  return (bsk_f32x16)((mask & (bsk_i32x16)v) | (~mask & (bsk_i32x16)filler));
}

// The greatest lane; which one is unspecified (but always the same) where lanes are NaN.
BSK_INLINE float bsk_peak(bsk_f32x16 v) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)v);
#else
  bsk_f32x8 a = v.lo > v.hi ? v.lo : v.hi;
  bsk_f32x4 b = a.lo > a.hi ? a.lo : a.hi;
  bsk_f32x2 c = b.lo > b.hi ? b.lo : b.hi;
  return c.x > c.y ? c.x : c.y;
#endif
}

// The greater of a and |v| as integers per lane: infinity is above every number, NaN above infinity.
BSK_INLINE bsk_u32x16 bsk_greater_magnitude(bsk_u32x16 a, bsk_f32x16 v) {
  return __builtin_elementwise_max(a, (bsk_u32x16)v & 0x7fffffffu);
}

BSK_INLINE float bsk_peak_magnitude(bsk_u32x16 v) {
  uint32_t peak = __builtin_reduce_max(v);
  float result;
  __builtin_memcpy(&result, &peak, sizeof result);
  return result;
}

// v·2^n, where t = n + BSK_ROUNDER and n is in -252 ... 127.
BSK_INLINE bsk_f32x16 bsk_shift_exponent(bsk_f32x16 v, bsk_f32x16 n, bsk_f32x16 t) {
#if defined(__AVX512F__)
  (void)t;
  return (bsk_f32x16)_mm512_scalef_ps((__m512)v, (__m512)n);
#else
  (void)n;
  return bsk_scale_by_power_of_2(v, t);
#endif
}

// 32 numbers as bf16, to nearest, ties to even; numbers below the normal range may become zero.
BSK_INLINE void bsk_store_bf16_pair(void *p, bsk_f32x16 first, bsk_f32x16 second) {
#if BSK_HAS_BF16_DOT
  __m512bh both = _mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
  __builtin_memcpy(p, &both, sizeof both);
#else
  bsk_store_u16(p, bsk_to_bf16(first));
  bsk_store_u16((char *)p + 32, bsk_to_bf16(second));
#endif
}

// The integers nearest to v, ties to even, |v| below 2^22: two's complement in the low 22 bits.
BSK_INLINE bsk_u32x16 bsk_round_to_bits(bsk_f32x16 v) { return (bsk_u32x16)(v + BSK_ROUNDER); }

// Bits 0 ... 7 of each lane, and bits 8 ... 15.
BSK_INLINE bsk_u8x16 bsk_low_bytes(bsk_u32x16 v) { return __builtin_convertvector(v, bsk_u8x16); }
BSK_INLINE bsk_u8x16 bsk_high_bytes(bsk_u32x16 v) { return __builtin_convertvector(v >> 8, bsk_u8x16); }

// The sum of 16 signed bytes.
BSK_INLINE int32_t bsk_sum_i8(bsk_u8x16 v) {
  typedef int8_t i8x16 __attribute__((ext_vector_type(16)));
  return __builtin_reduce_add(__builtin_convertvector((i8x16)v, bsk_i32x16));
}

// Signed bytes, as keys are stored.
BSK_INLINE bsk_u8x16 bsk_offset_bytes(bsk_u8x16 v) { return v ^ (uint8_t)BSK_BYTE_OFFSET; }

// acc[l] + Σ_b w[l].byte[b] · x.byte[b] over the four bytes, w signed and x unsigned; exact.
BSK_INLINE bsk_i32x16 bsk_dot_i8u8(bsk_i32x16 acc, bsk_u32x16 w, uint32_t x) {
#if defined(__AVX512VNNI__)
  return (bsk_i32x16)_mm512_dpbusd_epi32((__m512i)acc, _mm512_set1_epi32((int)x), (__m512i)w);
#elif defined(__SSE2__)
  // Bytes 0 and 2, then 1 and 3, as pairs of 16 bits.
  bsk_i16x32 even = (bsk_i16x32)((bsk_i16x32)w << 8) >> 8;
  bsk_i16x32 odd = (bsk_i16x32)w >> 8;
  const int even_x = (int)(x & 0x00ff00ffu), odd_x = (int)((x >> 8) & 0x00ff00ffu);
#if defined(__AVX2__)
  typedef int32_t i32x8 __attribute__((ext_vector_type(8)));
  const __m256i e = _mm256_set1_epi32(even_x), o = _mm256_set1_epi32(odd_x);
  acc.lo += (i32x8)_mm256_madd_epi16((__m256i)even.lo, e) + (i32x8)_mm256_madd_epi16((__m256i)odd.lo, o);
  acc.hi += (i32x8)_mm256_madd_epi16((__m256i)even.hi, e) + (i32x8)_mm256_madd_epi16((__m256i)odd.hi, o);
#else
  typedef int32_t i32x4 __attribute__((ext_vector_type(4)));
  const __m128i e = _mm_set1_epi32(even_x), o = _mm_set1_epi32(odd_x);
  acc.lo.lo += (i32x4)_mm_madd_epi16((__m128i)even.lo.lo, e) + (i32x4)_mm_madd_epi16((__m128i)odd.lo.lo, o);
  acc.lo.hi += (i32x4)_mm_madd_epi16((__m128i)even.lo.hi, e) + (i32x4)_mm_madd_epi16((__m128i)odd.lo.hi, o);
  acc.hi.lo += (i32x4)_mm_madd_epi16((__m128i)even.hi.lo, e) + (i32x4)_mm_madd_epi16((__m128i)odd.hi.lo, o);
  acc.hi.hi += (i32x4)_mm_madd_epi16((__m128i)even.hi.hi, e) + (i32x4)_mm_madd_epi16((__m128i)odd.hi.hi, o);
#endif
  return acc;
#else
  acc += ((bsk_i32x16)(w << 24) >> 24) * (int32_t)(x & 0xffu);
  acc += ((bsk_i32x16)(w << 16) >> 24) * (int32_t)((x >> 8) & 0xffu);
  acc += ((bsk_i32x16)(w << 8) >> 24) * (int32_t)((x >> 16) & 0xffu);
  return acc + ((bsk_i32x16)w >> 24) * (int32_t)(x >> 24);
#endif
}

// What `attention` is asked for; the Swift type `AttentionCall` documents each.
typedef struct {
  float *queries;
  float *out;
  intptr_t row_stride;
  intptr_t rows;
  intptr_t heads;
  intptr_t head_dim;
  const void *_Nullable const *_Nonnull key_blocks;
  const void *_Nullable const *_Nonnull value_blocks;
  intptr_t position;
  intptr_t window;
  float scale;
  uint8_t format;
} bsk_attention;

#pragma clang diagnostic pop
#pragma clang assume_nonnull end

#endif
