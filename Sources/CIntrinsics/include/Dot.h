// Dot products of neighbours: two bf16 numbers or four bytes of each lane at once.
#ifndef CINTRINSICS_DOT_H
#define CINTRINSICS_DOT_H

#include "Vectors.h"

#pragma clang assume_nonnull begin
// Vectors wider than the registers, which pass between functions that are always inlined.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

// Whether the level multiplies pairs of bf16 numbers by one instruction.
#if defined(__AVX512BF16__)
#define BSK_HAS_BF16_DOT 1
#else
#define BSK_HAS_BF16_DOT 0
#endif

BSK_INLINE bool bsk_has_bf16_dot(void) { return BSK_HAS_BF16_DOT; }

BSK_INLINE bsk_u32x16 bsk_load_u32(const void *p) {
  bsk_u32x16 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

BSK_INLINE void bsk_store_u32(void *p, bsk_u32x16 v) { __builtin_memcpy(p, &v, sizeof v); }

BSK_INLINE uint32_t bsk_load_u32_scalar(const void *p) {
  uint32_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

BSK_INLINE bsk_i32x16 bsk_splat_i32(int32_t x) { return (bsk_i32x16)(x); }
BSK_INLINE bsk_f32x16 bsk_f32_from_i32(bsk_i32x16 v) { return __builtin_convertvector(v, bsk_f32x16); }

// acc[l] + w[l].low·x.low + w[l].high·x.high, each lane of w and x holding two bf16 numbers, the first in the low half.
// Where the level has the instruction, numbers below the normal range count as zero; elsewhere as two bsk_fma, low first.
BSK_INLINE bsk_f32x16 bsk_dot_bf16(bsk_f32x16 acc, bsk_u32x16 w, uint32_t x) {
#if BSK_HAS_BF16_DOT
  return (bsk_f32x16)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)_mm512_set1_epi32((int)x));
#else
  // As bsk_fma, spelled out: a call with vectors of 16 lanes, though inlined, is an error where registers are narrower.
  bsk_u32x16 pair = (bsk_u32x16)(x);
  bsk_f32x16 w_low = (bsk_f32x16)(w << 16), x_low = (bsk_f32x16)(pair << 16);
  bsk_f32x16 w_high = (bsk_f32x16)(w & 0xffff0000u), x_high = (bsk_f32x16)(pair & 0xffff0000u);
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_elementwise_fma(w_high, x_high, __builtin_elementwise_fma(w_low, x_low, acc));
#else
  {
#pragma clang fp contract(off)
    acc = w_low * x_low + acc;
    return w_high * x_high + acc;
  }
#endif
#endif
}

// Whether the level adds up products of bytes in pairs of 16 bits; and how much too great the bytes of weights and keys are
// stored, for a level that multiplies unsigned bytes by signed ones.
#if defined(__AVX2__) && !defined(__AVX512VNNI__)
#define BSK_HAS_BYTE_PAIRS 1
#define BSK_BYTE_OFFSET 0
#else
#define BSK_HAS_BYTE_PAIRS 0
#define BSK_BYTE_OFFSET 128
#endif

// acc[l] + Σ_b w[l].byte[b] · x.byte[b] over the four bytes, w unsigned where BSK_BYTE_OFFSET is 128, else signed; x
// signed; exact for x above −128.
BSK_INLINE bsk_i32x16 bsk_dot_bytes(bsk_i32x16 acc, bsk_u32x16 w, uint32_t x) {
#if defined(__AVX512VNNI__)
  return (bsk_i32x16)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, _mm512_set1_epi32((int)x));
#elif BSK_HAS_BYTE_PAIRS
  // |w| · (x with the sign of w): two products are below 2^15, so that their sum in 16 bits is exact.
  typedef int32_t i32x8 __attribute__((ext_vector_type(8)));
  const __m256i four = _mm256_set1_epi32((int)x), ones = _mm256_set1_epi16(1);
  const __m256i lo = (__m256i)w.lo, hi = (__m256i)w.hi;
  acc.lo += (i32x8)_mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(lo), _mm256_sign_epi8(four, lo)), ones);
  acc.hi += (i32x8)_mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(hi), _mm256_sign_epi8(four, hi)), ones);
  return acc;
#elif defined(__SSE2__)
  // Bytes 0 and 2, then 1 and 3, as pairs of 16 bits.
  typedef int32_t i32x4 __attribute__((ext_vector_type(4)));
  const uint32_t even_x = (uint16_t)(int8_t)x | (uint32_t)(uint16_t)(int8_t)(x >> 16) << 16;
  const uint32_t odd_x = (uint16_t)(int8_t)(x >> 8) | (uint32_t)(uint16_t)(int8_t)(x >> 24) << 16;
  bsk_u32x16 even = w & 0x00ff00ffu;
  bsk_u32x16 odd = (w >> 8) & 0x00ff00ffu;
  const __m128i e = _mm_set1_epi32((int)even_x), o = _mm_set1_epi32((int)odd_x);
  acc.lo.lo += (i32x4)_mm_madd_epi16((__m128i)even.lo.lo, e) + (i32x4)_mm_madd_epi16((__m128i)odd.lo.lo, o);
  acc.lo.hi += (i32x4)_mm_madd_epi16((__m128i)even.lo.hi, e) + (i32x4)_mm_madd_epi16((__m128i)odd.lo.hi, o);
  acc.hi.lo += (i32x4)_mm_madd_epi16((__m128i)even.hi.lo, e) + (i32x4)_mm_madd_epi16((__m128i)odd.hi.lo, o);
  acc.hi.hi += (i32x4)_mm_madd_epi16((__m128i)even.hi.hi, e) + (i32x4)_mm_madd_epi16((__m128i)odd.hi.hi, o);
  return acc;
#else
  acc += (bsk_i32x16)(w & 0xffu) * (int32_t)(int8_t)x;
  acc += (bsk_i32x16)((w >> 8) & 0xffu) * (int32_t)(int8_t)(x >> 8);
  acc += (bsk_i32x16)((w >> 16) & 0xffu) * (int32_t)(int8_t)(x >> 16);
  return acc + (bsk_i32x16)(w >> 24) * (int32_t)(int8_t)(x >> 24);
#endif
}

// Sums of four-bit weights, for the 32 products a lane of one block: bias + Σ w · x, w being 0 ... 15. They are started,
// added to and ended by these three; in between they are the level's own.
BSK_INLINE bsk_i32x16 bsk_start_halves(int32_t bias) {
#if BSK_HAS_BYTE_PAIRS
  (void)bias;
  return (bsk_i32x16)(0);
#else
  return (bsk_i32x16)(bias);
#endif
}

BSK_INLINE bsk_i32x16 bsk_dot_halves(bsk_i32x16 acc, bsk_u32x16 w, uint32_t x) {
#if BSK_HAS_BYTE_PAIRS
  // Each half of a lane adds up 16 of the products, which are at most 15 · 127: the sum fits 16 bits.
  typedef int16_t i16x16 __attribute__((ext_vector_type(16)));
  typedef int32_t i32x8 __attribute__((ext_vector_type(8)));
  const __m256i four = _mm256_set1_epi32((int)x);
  acc.lo = (i32x8)((i16x16)acc.lo + (i16x16)_mm256_maddubs_epi16((__m256i)w.lo, four));
  acc.hi = (i32x8)((i16x16)acc.hi + (i16x16)_mm256_maddubs_epi16((__m256i)w.hi, four));
  return acc;
#else
  return bsk_dot_bytes(acc, w, x);
#endif
}

BSK_INLINE bsk_i32x16 bsk_end_halves(bsk_i32x16 acc, int32_t bias) {
#if BSK_HAS_BYTE_PAIRS
  typedef int32_t i32x8 __attribute__((ext_vector_type(8)));
  const __m256i ones = _mm256_set1_epi16(1);
  acc.lo = (i32x8)_mm256_madd_epi16((__m256i)acc.lo, ones) + bias;
  acc.hi = (i32x8)_mm256_madd_epi16((__m256i)acc.hi, ones) + bias;
  return acc;
#else
  (void)bias;
  return acc;
#endif
}

// Quantising

BSK_INLINE int32_t bsk_sum_i32(bsk_i32x16 v) { return __builtin_reduce_add(v); }

// The nearest integers, ties to even, of numbers within ±2^22.
BSK_INLINE bsk_i32x16 bsk_nearest_i32(bsk_f32x16 v) {
  return (bsk_i32x16)((bsk_u32x16)(v + (bsk_f32x16)(BSK_ROUNDER)) - 0x4b400000u);
}

// The nearest integers, ties away from zero, of numbers within ±2^22: 1/2 less an ulp is added to the magnitude, and the
// fraction cut off.
BSK_INLINE bsk_i32x16 bsk_nearest_away_i32(bsk_f32x16 v) {
  bsk_u32x16 half = ((bsk_u32x16)v & 0x80000000u) | 0x3effffffu;
  return __builtin_convertvector(v + (bsk_f32x16)half, bsk_i32x16);
}

typedef uint32_t bsk_u32x4 __attribute__((ext_vector_type(4)));

// The low bytes of the 16 lanes, four to a word.
BSK_INLINE bsk_u32x4 bsk_bytes(bsk_i32x16 v) {
  typedef uint8_t u8x16 __attribute__((ext_vector_type(16)));
  return (bsk_u32x4) __builtin_convertvector((bsk_u32x16)v, u8x16);
}

// The low and the high four bits of each byte.
BSK_INLINE bsk_u32x16 bsk_low_halves(bsk_u32x16 v) { return v & 0x0f0f0f0fu; }
BSK_INLINE bsk_u32x16 bsk_high_halves(bsk_u32x16 v) { return (v >> 4) & 0x0f0f0f0fu; }

// v + 8.5 cut to an integer, at most 15; v within ±8.
BSK_INLINE bsk_i32x16 bsk_to_halves(bsk_f32x16 v) {
  bsk_i32x16 n = __builtin_convertvector(v + (bsk_f32x16)(8.5f), bsk_i32x16);
  bsk_i32x16 great = n > 15;
  return (great & 15) | (~great & n);
}

// a | b << 4
BSK_INLINE bsk_i32x16 bsk_join_halves(bsk_i32x16 a, bsk_i32x16 b) { return a | (b << 4); }

// Four bytes to a word: the low ones of the lanes.
BSK_INLINE bsk_u32x16 bsk_join_bytes(bsk_i32x16 a, bsk_i32x16 b, bsk_i32x16 c, bsk_i32x16 d) {
  return (bsk_u32x16)((a & 0xff) | (b & 0xff) << 8 | (c & 0xff) << 16 | d << 24);
}

// 32 bytes: the low byte of each lane of a and of b in turn, BSK_BYTE_OFFSET added to both.
BSK_INLINE void bsk_store_byte_pairs(void *p, bsk_i32x16 a, bsk_i32x16 b) {
  bsk_u16x16 pairs =
      __builtin_convertvector((((bsk_u32x16)a & 0xffu) | ((bsk_u32x16)b << 8)) ^ BSK_BYTE_OFFSET * 0x101u, bsk_u16x16);
  __builtin_memcpy(p, &pairs, sizeof pairs);
}

// Per lane the number of the greater magnitude, a where they are equal; of NaN and others NaN.
BSK_INLINE bsk_f32x16 bsk_farther_from_zero(bsk_f32x16 a, bsk_f32x16 b) {
  bsk_i32x16 mask = (bsk_i32x16)((bsk_u32x16)b & 0x7fffffffu) > (bsk_i32x16)((bsk_u32x16)a & 0x7fffffffu);
  return (bsk_f32x16)((mask & (bsk_i32x16)b) | (~mask & (bsk_i32x16)a));
}

// 1/v, and 0 where v is 0.
BSK_INLINE bsk_f32x16 bsk_inverse(bsk_f32x16 v) {
  bsk_i32x16 zero = v == (bsk_f32x16)(0.0f);
  return (bsk_f32x16)(~zero & (bsk_i32x16)((bsk_f32x16)(1.0f) / v));
}

// v, and `other` where `of` is an infinity or NaN.
BSK_INLINE bsk_f32x16 bsk_where_finite(bsk_f32x16 of, bsk_f32x16 v, bsk_f32x16 other) {
  bsk_i32x16 mask = (bsk_i32x16)((bsk_u32x16)of & 0x7fffffffu) < 0x7f800000;
  return (bsk_f32x16)((mask & (bsk_i32x16)v) | (~mask & (bsk_i32x16)other));
}

#pragma clang diagnostic pop

#pragma clang assume_nonnull end

#endif
