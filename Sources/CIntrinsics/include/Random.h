// Philox4x32-10 (Salmon et al., SC 2011), sixteen counters at once.
#ifndef CINTRINSICS_RANDOM_H
#define CINTRINSICS_RANDOM_H

#include "Vectors.h"

#pragma clang assume_nonnull begin

typedef uint64_t bsk_u64x8 __attribute__((ext_vector_type(8)));

// Of products of 64 bits, those of the even lanes in `even`, those of the odd ones in `odd`: the lower and the upper halves.
#if defined(__AVX512F__)
#define BSK_LOW_HALVES(even, odd)                                                                                      \
  (bsk_u32x16) _mm512_mask_shuffle_epi32((__m512i)(even), 0xaaaa, (__m512i)(odd), _MM_PERM_CCAA)
#define BSK_HIGH_HALVES(even, odd)                                                                                     \
  (bsk_u32x16) _mm512_mask_shuffle_epi32((__m512i)(odd), 0x5555, (__m512i)(even), _MM_PERM_DDBB)
#else
#define BSK_LOW_HALVES(even, odd) (bsk_u32x16)(((even) & low) | ((odd) << 32))
#define BSK_HIGH_HALVES(even, odd) (bsk_u32x16)(((even) >> 32) | ((odd) & ~low))
#endif

// out[4·b + j] is word j of the block cipher at counter (first + b, c1, c2, c3) under the key (k0, k1), for b < 16.
BSK_INLINE void bsk_philox(uint32_t first, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1,
                           uint32_t *out) {
  const bsk_u32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const bsk_u64x8 low = (bsk_u64x8)(0xffffffffu);
  bsk_u32x16 x0 = lane + first, x1 = (bsk_u32x16)(c1), x2 = (bsk_u32x16)(c2), x3 = (bsk_u32x16)(c3);
  for (int round = 0; round < 10; round++) {
    // Products of 64 bits of the even lanes and of the odd ones: the instruction takes every second lane.
    bsk_u64x8 a0 = ((bsk_u64x8)x0 & low) * 0xD2511F53u, a1 = ((bsk_u64x8)x0 >> 32) * 0xD2511F53u;
    bsk_u64x8 b0 = ((bsk_u64x8)x2 & low) * 0xCD9E8D57u, b1 = ((bsk_u64x8)x2 >> 32) * 0xCD9E8D57u;
    x0 = BSK_HIGH_HALVES(b0, b1) ^ x1 ^ k0;
    x1 = BSK_LOW_HALVES(b0, b1);
    x2 = BSK_HIGH_HALVES(a0, a1) ^ x3 ^ k1;
    x3 = BSK_LOW_HALVES(a0, a1);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
#define BSK_LOW(u, v) __builtin_shufflevector(u, v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define BSK_HIGH(u, v) __builtin_shufflevector(u, v, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define BSK_LOW_PAIRS(u, v) __builtin_shufflevector(u, v, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23)
#define BSK_HIGH_PAIRS(u, v) __builtin_shufflevector(u, v, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31)
  bsk_u32x16 low01 = BSK_LOW(x0, x1), low23 = BSK_LOW(x2, x3), high01 = BSK_HIGH(x0, x1), high23 = BSK_HIGH(x2, x3);
  bsk_u32x16 quarter[4] = {BSK_LOW_PAIRS(low01, low23), BSK_HIGH_PAIRS(low01, low23), BSK_LOW_PAIRS(high01, high23),
                           BSK_HIGH_PAIRS(high01, high23)};
#undef BSK_LOW
#undef BSK_HIGH
#undef BSK_LOW_PAIRS
#undef BSK_HIGH_PAIRS
  __builtin_memcpy(out, quarter, sizeof quarter);
}

// v where the word is below the limit, else 0.
BSK_INLINE bsk_f32x16 bsk_where_below(bsk_f32x16 v, const uint32_t *words, uint32_t limit) {
  bsk_u32x16 w;
  __builtin_memcpy(&w, words, sizeof w);
  bsk_i32x16 mask = w < (bsk_u32x16)(limit);
  return (bsk_f32x16)(mask & (bsk_i32x16)v);
}

typedef _Bool bsk_bool16 __attribute__((ext_vector_type(16)));

// Returns the comparison's results, lane i as bit i. No function: it would hand a vector on by an ABI of its level.
#define BSK_RETURN_BITS(holds)                                                                                         \
  bsk_bool16 mask = __builtin_convertvector(holds, bsk_bool16);                                                        \
  uint16_t bits;                                                                                                       \
  __builtin_memcpy(&bits, &mask, sizeof bits);                                                                         \
  return bits

// Bit i says whether word i is below the limit.
BSK_INLINE uint16_t bsk_words_below(const uint32_t *words, uint32_t limit) {
  bsk_u32x16 w;
  __builtin_memcpy(&w, words, sizeof w);
  BSK_RETURN_BITS(w < (bsk_u32x16)(limit));
}

// Bits of a magnitude: those of the number without its sign; they are in the order of the magnitudes.
#define BSK_MAGNITUDE_BITS(v) ((bsk_u32x16)(v) & 0x7fffffffu)

// v where low <= bits of its magnitude <= high, else 0.
BSK_INLINE bsk_f32x16 bsk_where_within(bsk_f32x16 v, uint32_t low, uint32_t high) {
  bsk_u32x16 bits = BSK_MAGNITUDE_BITS(v);
  bsk_i32x16 mask = (bits >= (bsk_u32x16)(low)) & (bits <= (bsk_u32x16)(high));
  return (bsk_f32x16)(mask & (bsk_i32x16)v);
}

// Bit i says whether lane i's magnitude has these bits; at least these.
BSK_INLINE uint16_t bsk_lanes_equal(bsk_f32x16 v, uint32_t limit) {
  BSK_RETURN_BITS(BSK_MAGNITUDE_BITS(v) == (bsk_u32x16)(limit));
}

BSK_INLINE uint16_t bsk_lanes_from(bsk_f32x16 v, uint32_t limit) {
  BSK_RETURN_BITS(BSK_MAGNITUDE_BITS(v) >= (bsk_u32x16)(limit));
}

// Adds 1 to the lanes whose magnitudes have at most these bits.
BSK_INLINE bsk_u32x16 bsk_count_to(bsk_u32x16 counts, bsk_f32x16 v, uint32_t limit) {
  return counts - (bsk_u32x16)(BSK_MAGNITUDE_BITS(v) <= (bsk_u32x16)(limit));
}

BSK_INLINE bsk_u32x16 bsk_no_counts(void) { return (bsk_u32x16)(0u); }
BSK_INLINE uint32_t bsk_sum_counts(bsk_u32x16 counts) { return __builtin_reduce_add(counts); }

// Writes the numbers `first` + lane of the lanes whose bits are set, up to 16 numbers, and returns how many are.
BSK_INLINE intptr_t bsk_store_lanes(uint16_t bits, uint32_t first, uint32_t *out) {
#if defined(__AVX512F__)
  const bsk_u32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(bits, (__m512i)(lane + first)));
#else
  for (uint32_t rest = bits, place = 0; rest != 0; rest &= rest - 1)
    out[place++] = first + __builtin_ctz(rest);
#endif
  return __builtin_popcount(bits);
}

// The greatest bits of a magnitude.
BSK_INLINE uint32_t bsk_greatest_bits(bsk_f32x16 v) { return __builtin_reduce_max(BSK_MAGNITUDE_BITS(v)); }

// The greater magnitude of each lane, compared as bits: a NaN is greater than all numbers.
BSK_INLINE bsk_f32x16 bsk_greater_bits(bsk_f32x16 a, bsk_f32x16 b) {
  return (bsk_f32x16)__builtin_elementwise_max(BSK_MAGNITUDE_BITS(a), BSK_MAGNITUDE_BITS(b));
}

// |v|·scale without its fraction, at most `last`; |v|·scale is below 2^31.
BSK_INLINE void bsk_store_steps(bsk_f32x16 v, float scale, uint16_t last, uint16_t *out) {
  bsk_i32x16 whole = __builtin_convertvector((bsk_f32x16)BSK_MAGNITUDE_BITS(v) * scale, bsk_i32x16);
  bsk_u16x16 step = __builtin_convertvector(__builtin_elementwise_min(whole, (bsk_i32x16)((int32_t)last)), bsk_u16x16);
  __builtin_memcpy(out, &step, sizeof step);
}

BSK_INLINE bsk_f32x16 bsk_magnitude(bsk_f32x16 v) { return (bsk_f32x16)BSK_MAGNITUDE_BITS(v); }

// v where it is not 0 and its sign is that of `direction` (whose 0 counts as positive), else 0.
BSK_INLINE bsk_f32x16 bsk_where_agrees(bsk_f32x16 v, bsk_f32x16 sign_of, bsk_f32x16 direction) {
  bsk_i32x16 negates = ~(direction >= (bsk_f32x16)(0.0f)) & (bsk_i32x16)(INT32_MIN);
  bsk_i32x16 agrees = (bsk_f32x16)((bsk_i32x16)sign_of ^ negates) > (bsk_f32x16)(0.0f);
  return (bsk_f32x16)(agrees & (bsk_i32x16)v);
}

// b where a is 0, else a.
BSK_INLINE bsk_f32x16 bsk_or_if_zero(bsk_f32x16 a, bsk_f32x16 b) {
  bsk_i32x16 zero = a == (bsk_f32x16)(0.0f);
  return (bsk_f32x16)((zero & (bsk_i32x16)b) | (~zero & (bsk_i32x16)a));
}

// v where `chosen` is not 0, else 0.
BSK_INLINE bsk_f32x16 bsk_where_not_zero(bsk_f32x16 v, bsk_f32x16 chosen) {
  bsk_i32x16 mask = chosen != (bsk_f32x16)(0.0f);
  return (bsk_f32x16)(mask & (bsk_i32x16)v);
}

// Bit i says whether lane i is not 0.
BSK_INLINE uint16_t bsk_not_zero_bits(bsk_f32x16 v) { BSK_RETURN_BITS(v != (bsk_f32x16)(0.0f)); }

// v where bit i of `bits` is set, else 0.
BSK_INLINE bsk_f32x16 bsk_where_bits(bsk_f32x16 v, uint16_t bits) {
#if defined(__AVX512F__)
  return (bsk_f32x16)_mm512_maskz_mov_ps(bits, (__m512)v);
#else
  const bsk_u32x16 bit = {1u << 0, 1u << 1, 1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
                          1u << 8, 1u << 9, 1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15};
  bsk_i32x16 mask = ((bsk_u32x16)((uint32_t)bits) & bit) != 0;
  return (bsk_f32x16)(mask & (bsk_i32x16)v);
#endif
}

#pragma clang assume_nonnull end

#endif
