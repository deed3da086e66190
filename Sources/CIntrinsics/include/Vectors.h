// Spellings of the vector instructions that Swift has no name for.
//
// Every function works on 16 lanes, whatever the registers' width: the compiler splits them, so that one source gives
// one order of operations at every instruction-set level. Pointers need no alignment. A `_partial` load reads the first
// n of 16 elements and fills the rest with zero, a `_partial` store writes the first n; 0 <= n <= 16, and nothing
// beyond the n elements is touched.
#ifndef CINTRINSICS_VECTORS_H
#define CINTRINSICS_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#pragma clang assume_nonnull begin

typedef float bsk_f32x16 __attribute__((ext_vector_type(16)));
typedef float bsk_f32x8 __attribute__((ext_vector_type(8)));
typedef float bsk_f32x4 __attribute__((ext_vector_type(4)));
typedef float bsk_f32x2 __attribute__((ext_vector_type(2)));
typedef double bsk_f64x16 __attribute__((ext_vector_type(16)));
typedef double bsk_f64x8 __attribute__((ext_vector_type(8)));
typedef double bsk_f64x4 __attribute__((ext_vector_type(4)));
typedef double bsk_f64x2 __attribute__((ext_vector_type(2)));
typedef int32_t bsk_i32x16 __attribute__((ext_vector_type(16)));
typedef uint32_t bsk_u32x16 __attribute__((ext_vector_type(16)));
typedef uint16_t bsk_u16x16 __attribute__((ext_vector_type(16)));
typedef _Float16 bsk_f16x16 __attribute__((ext_vector_type(16)));

#define BSK_INLINE static inline __attribute__((always_inline))

// How many tokens the tiles of the matrix product are wide, so that their accumulators stay in registers; up to how many
// tokens a tile of f32 sums takes two panels of 16 rows at once; and whether a panel of f16 that many tokens pass is first
// widened to f32. It is where registers are wide, so that converting takes its time, or where there is no instruction for
// it; else a panel of half the size stays in the caches.
//
// And how many bytes ahead blocks of integers are asked for where few tokens pass them, and by how many tokens at least
// where the integers are bytes. AMD's processors, which run AVX-512 with BF16, look far enough ahead by themselves there;
// Intel's, which run it without, do not: asking gave them 14 % at one token in q8_0 and 25 % in q4_0.
#if defined(__AVX512F__)
BSK_INLINE intptr_t bsk_float_tile(void) { return 12; }
BSK_INLINE intptr_t bsk_pair_tile(void) { return 12; }
BSK_INLINE intptr_t bsk_block_tile(void) { return 12; }
BSK_INLINE bool bsk_widens(void) { return true; }
#if defined(__AVX512BF16__)
BSK_INLINE intptr_t bsk_block_ahead(void) { return 0; }
#else
BSK_INLINE intptr_t bsk_block_ahead(void) { return 4096; }
#endif
BSK_INLINE intptr_t bsk_bytes_ask(void) { return 1; }
#elif defined(__AVX2__)
BSK_INLINE intptr_t bsk_float_tile(void) { return 6; }
BSK_INLINE intptr_t bsk_pair_tile(void) { return 2; }
BSK_INLINE intptr_t bsk_block_tile(void) { return 4; }
BSK_INLINE bool bsk_widens(void) { return false; }
BSK_INLINE intptr_t bsk_block_ahead(void) { return 4096; }
BSK_INLINE intptr_t bsk_bytes_ask(void) { return 2; }
#else
BSK_INLINE intptr_t bsk_float_tile(void) { return 2; }
BSK_INLINE intptr_t bsk_pair_tile(void) { return 0; }
BSK_INLINE intptr_t bsk_block_tile(void) { return 1; }
BSK_INLINE bool bsk_widens(void) { return true; }
BSK_INLINE intptr_t bsk_block_ahead(void) { return 0; }
BSK_INLINE intptr_t bsk_bytes_ask(void) { return 1; }
#endif

// Loads and stores

BSK_INLINE bsk_f32x16 bsk_load_f32(const void *p) {
  bsk_f32x16 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

BSK_INLINE bsk_u16x16 bsk_load_u16(const void *p) {
  bsk_u16x16 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

BSK_INLINE void bsk_store_f32(void *p, bsk_f32x16 v) { __builtin_memcpy(p, &v, sizeof v); }

BSK_INLINE void bsk_store_u16(void *p, bsk_u16x16 v) { __builtin_memcpy(p, &v, sizeof v); }

BSK_INLINE bsk_f32x16 bsk_load_f32_partial(const void *p, intptr_t n) {
#if defined(__AVX512F__)
  return (bsk_f32x16)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
  bsk_f32x16 v = 0;
  __builtin_memcpy(&v, p, (size_t)n * 4);
  return v;
#endif
}

BSK_INLINE bsk_u16x16 bsk_load_u16_partial(const void *p, intptr_t n) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return (bsk_u16x16)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
#else
  bsk_u16x16 v = 0;
  __builtin_memcpy(&v, p, (size_t)n * 2);
  return v;
#endif
}

BSK_INLINE void bsk_store_f32_partial(void *p, bsk_f32x16 v, intptr_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
  __builtin_memcpy(p, &v, (size_t)n * 4);
#endif
}

BSK_INLINE void bsk_store_u16_partial(void *p, bsk_u16x16 v, intptr_t n) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)v);
#else
  __builtin_memcpy(p, &v, (size_t)n * 2);
#endif
}

// The same address, which the compiler does not know to be: what was loaded from it is loaded anew, and not kept where
// registers are short.
BSK_INLINE const void *bsk_anew(const void *p) {
  __asm__("" : "+r"(p));
  return p;
}

// Arithmetic

BSK_INLINE bsk_f32x16 bsk_splat(float x) { return (bsk_f32x16)(x); }

// Lane 0.
BSK_INLINE float bsk_first(bsk_f32x16 v) { return v.x; }

BSK_INLINE float bsk_square_root(float x) { return __builtin_elementwise_sqrt(x); }

// a·b + c, with one rounding where the level has the instruction, with two where it has not.
BSK_INLINE bsk_f32x16 bsk_fma(bsk_f32x16 a, bsk_f32x16 b, bsk_f32x16 c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_elementwise_fma(a, b, c);
#else
#pragma clang fp contract(off)
  return a * b + c;
#endif
}

// The operators once more: those of the standard library may come as weak symbols that all levels would share.
BSK_INLINE bsk_f32x16 bsk_add(bsk_f32x16 a, bsk_f32x16 b) { return a + b; }
BSK_INLINE bsk_f32x16 bsk_subtract(bsk_f32x16 a, bsk_f32x16 b) { return a - b; }
BSK_INLINE bsk_f32x16 bsk_multiply(bsk_f32x16 a, bsk_f32x16 b) { return a * b; }
BSK_INLINE bsk_f32x16 bsk_divide(bsk_f32x16 a, bsk_f32x16 b) { return a / b; }

// Per lane: yes where a < b, else no; false where a or b is NaN.
BSK_INLINE bsk_f32x16 bsk_where_less(bsk_f32x16 a, bsk_f32x16 b, bsk_f32x16 yes, bsk_f32x16 no) {
  bsk_i32x16 mask = a < b;
  return (bsk_f32x16)((mask & (bsk_i32x16)yes) | (~mask & (bsk_i32x16)no));
}

// Sum over the lanes as a fixed tree: lane i meets lane i+8, then i+4, i+2, i+1.
BSK_INLINE float bsk_sum(bsk_f32x16 v) {
  bsk_f32x8 a = v.lo + v.hi;
  bsk_f32x4 b = a.lo + a.hi;
  bsk_f32x2 c = b.lo + b.hi;
  return c.x + c.y;
}

BSK_INLINE double bsk_sum_f64(bsk_f64x16 v) {
  bsk_f64x8 a = v.lo + v.hi;
  bsk_f64x4 b = a.lo + a.hi;
  bsk_f64x2 c = b.lo + b.hi;
  return c.x + c.y;
}

// The greatest lane, by the same tree; which one is unspecified (but always the same) where lanes are NaN.
BSK_INLINE float bsk_greatest(bsk_f32x16 v) {
  typedef int32_t i32x8 __attribute__((ext_vector_type(8)));
  typedef int32_t i32x4 __attribute__((ext_vector_type(4)));
  i32x8 eight = v.lo < v.hi;
  bsk_f32x8 a = (bsk_f32x8)((eight & (i32x8)v.hi) | (~eight & (i32x8)v.lo));
  i32x4 four = a.lo < a.hi;
  bsk_f32x4 b = (bsk_f32x4)((four & (i32x4)a.hi) | (~four & (i32x4)a.lo));
  float c = b.x < b.z ? b.z : b.x;
  float d = b.y < b.w ? b.w : b.y;
  return c < d ? d : c;
}

// The first n lanes of v, and of the rest `filler`.
BSK_INLINE bsk_f32x16 bsk_keep_first(bsk_f32x16 v, intptr_t n, bsk_f32x16 filler) {
  bsk_i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  bsk_i32x16 mask = lane < (bsk_i32x16)((int32_t)n);
  return (bsk_f32x16)((mask & (bsk_i32x16)v) | (~mask & (bsk_i32x16)filler));
}

// acc + v, lane by lane, in double precision.
BSK_INLINE bsk_f64x16 bsk_accumulate_f64(bsk_f64x16 acc, bsk_f32x16 v) {
  return acc + __builtin_convertvector(v, bsk_f64x16);
}

BSK_INLINE bsk_f64x16 bsk_zero_f64(void) { return (bsk_f64x16)(0.0); }

BSK_INLINE bsk_f64x16 bsk_splat_f64(double x) { return (bsk_f64x16)(x); }

BSK_INLINE bsk_f32x16 bsk_narrow_f64(bsk_f64x16 v) { return __builtin_convertvector(v, bsk_f32x16); }

BSK_INLINE bsk_f64x16 bsk_widen_f64(bsk_f32x16 v) { return __builtin_convertvector(v, bsk_f64x16); }

BSK_INLINE bsk_f64x16 bsk_load_f64(const void *p) {
  bsk_f64x16 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

BSK_INLINE void bsk_store_f64(void *p, bsk_f64x16 v) { __builtin_memcpy(p, &v, sizeof v); }

BSK_INLINE bsk_f64x16 bsk_multiply_f64(bsk_f64x16 a, bsk_f64x16 b) { return a * b; }

BSK_INLINE bsk_f64x16 bsk_fma_f64(bsk_f64x16 a, bsk_f64x16 b, bsk_f64x16 c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_elementwise_fma(a, b, c);
#else
#pragma clang fp contract(off)
  return a * b + c;
#endif
}

// 1.5·2^23: added to a float of magnitude below 2^22, it leaves the nearest integer in the low bits of the sum.
#define BSK_ROUNDER 12582912.0f

// v·2^n, where t = n + BSK_ROUNDER and n is in -252 ... 254; by two factors, of which the first is exact, so that a
// result below the normal range is rounded once.
BSK_INLINE bsk_f32x16 bsk_scale_by_power_of_2(bsk_f32x16 v, bsk_f32x16 t) {
  bsk_i32x16 n = (bsk_i32x16)((bsk_u32x16)t - 0x4b400000u);
  bsk_i32x16 half = n >> 1;
  bsk_u32x16 first = (bsk_u32x16)half + 127u;
  bsk_u32x16 second = (bsk_u32x16)n - (bsk_u32x16)half + 127u;
  return v * (bsk_f32x16)(first << 23) * (bsk_f32x16)(second << 23);
}

// Whether the exponent of any lane is that of infinity and NaN.
BSK_INLINE bool bsk_any_non_finite_f32(bsk_f32x16 v) {
  bsk_i32x16 mask = ((bsk_u32x16)v & 0x7f800000u) == 0x7f800000u;
  return __builtin_reduce_or(mask) != 0;
}

// Conversions of 16-bit elements, given as bits

BSK_INLINE bsk_f32x16 bsk_from_bf16(bsk_u16x16 h) { return (bsk_f32x16)(__builtin_convertvector(h, bsk_u32x16) << 16); }

// To nearest, ties to even, in the upper half of each lane; the lower half is not cleared. NaN stays NaN (and is made
// quiet); values below the normal range are kept, which AVX-512's own conversion would flush to zero.
BSK_INLINE bsk_u32x16 bsk_round_to_bf16(bsk_f32x16 v) {
  bsk_u32x16 u = (bsk_u32x16)v;
  bsk_u32x16 nan = (bsk_u32x16)(v != v);
  return (nan & (u | 0x400000u)) | (~nan & (u + 0x7fffu + ((u >> 16) & 1u)));
}

// A level without wide registers passes them in memory, which is all the same between inlined functions.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

BSK_INLINE bsk_u16x16 bsk_to_bf16(bsk_f32x16 v) {
  return __builtin_convertvector(bsk_round_to_bf16(v) >> 16, bsk_u16x16);
}

// 32 numbers of bf16 as 16 pairs: the first of each, and the second.
BSK_INLINE bsk_f32x16 bsk_first_bf16(bsk_u32x16 pairs) { return (bsk_f32x16)(pairs << 16); }
BSK_INLINE bsk_f32x16 bsk_second_bf16(bsk_u32x16 pairs) { return (bsk_f32x16)(pairs & 0xffff0000u); }

BSK_INLINE bsk_u32x16 bsk_to_bf16_pairs(bsk_f32x16 first, bsk_f32x16 second) {
  return (bsk_round_to_bf16(first) >> 16) | (bsk_round_to_bf16(second) & 0xffff0000u);
}

// 32 numbers, of `low` and then of `high`, rounded to bf16.
BSK_INLINE void bsk_store_bf16(void *p, bsk_f32x16 low, bsk_f32x16 high) {
#if defined(__AVX512BF16__) && defined(__AVX512DQ__)
  __mmask16 small = _mm512_fpclass_ps_mask((__m512)low, 0x20) | _mm512_fpclass_ps_mask((__m512)high, 0x20);
  if (__builtin_expect(small == 0, 1)) {
    __m512bh halves = _mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
    __builtin_memcpy(p, &halves, sizeof halves);
    return;
  }
#endif
  bsk_store_u16(p, bsk_to_bf16(low));
  bsk_store_u16((char *)p + 32, bsk_to_bf16(high));
}

#pragma clang diagnostic pop

#if defined(__F16C__) || defined(__aarch64__)

BSK_INLINE bsk_f32x16 bsk_from_f16(bsk_u16x16 h) { return __builtin_convertvector((bsk_f16x16)h, bsk_f32x16); }

BSK_INLINE bsk_u16x16 bsk_to_f16(bsk_f32x16 v) { return (bsk_u16x16) __builtin_convertvector(v, bsk_f16x16); }

#else

// Without the instruction: the 15 bits of magnitude, put where the wider format has them, are 2^112 times too small,
// for values below f16's normal range too; infinity and NaN get back the exponent of all ones, NaN also its quiet bit.
BSK_INLINE bsk_f32x16 bsk_from_f16(bsk_u16x16 h) {
  bsk_u32x16 u = __builtin_convertvector(h, bsk_u32x16);
  bsk_u32x16 sign = (u & 0x8000u) << 16;
  bsk_u32x16 magnitude = (u & 0x7fffu) << 13;
  bsk_u32x16 number = (bsk_u32x16)((bsk_f32x16)magnitude * 0x1p112f);
  bsk_u32x16 special = (bsk_u32x16)((bsk_i32x16)magnitude >= 0x7c00 << 13) & 0x7f800000u;
  bsk_u32x16 quiet = (bsk_u32x16)((bsk_i32x16)magnitude > 0x7c00 << 13) & 0x00400000u;
  return (bsk_f32x16)(sign | number | special | quiet);
}

// To nearest, ties to even. Below f16's normal range, adding 1/2 leaves the wanted integer multiple of 2^-24, rounded
// by the addition, in the low bits.
BSK_INLINE bsk_u16x16 bsk_to_f16(bsk_f32x16 v) {
  bsk_u32x16 u = (bsk_u32x16)v;
  bsk_u32x16 sign = (u >> 16) & 0x8000u;
  bsk_u32x16 magnitude = u & 0x7fffffffu;
  bsk_u32x16 normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  bsk_u32x16 small = (bsk_u32x16)((bsk_f32x16)magnitude + 0.5f) - 0x3f000000u;
  bsk_u32x16 nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  bsk_u32x16 is_small = (bsk_u32x16)(magnitude < (113u << 23));
  bsk_u32x16 is_great = (bsk_u32x16)(magnitude >= 0x477ff000u);
  bsk_u32x16 is_nan = (bsk_u32x16)(magnitude > 0x7f800000u);
  bsk_u32x16 finite = (is_small & small) | (~is_small & normal);
  bsk_u32x16 number = (is_great & 0x7c00u) | (~is_great & finite);
  return __builtin_convertvector(sign | (is_nan & nan) | (~is_nan & number), bsk_u16x16);
}

#endif

// p is aligned to 64 bytes; what is stored goes past the caches, and bsk_fence() makes it visible to other threads.
BSK_INLINE void bsk_stream_u32(void *p, bsk_u32x16 v) { __builtin_nontemporal_store(v, (bsk_u32x16 *)p); }

BSK_INLINE void bsk_fence(void) {
#if defined(__x86_64__)
  _mm_sfence();
#else
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

// Rearranging

// out[j][i] = source[i][j] for 16 × 16 words; row i of the source starts `stride` bytes after row i − 1, that of the output
// `out_stride`. Rows from
// `count` on are not read and count as zero; 0 <= count <= 16. Where it `streams`, `out` is aligned to 64 bytes and goes
// past the caches; bsk_fence() then makes it visible.
BSK_INLINE void bsk_transpose_u32(const void *source, intptr_t stride, intptr_t count, void *out, intptr_t out_stride,
                                  bool streams) {
  bsk_u32x16 a[16], b[16];
  for (intptr_t i = 0; i < 16; i++) {
    if (i < count)
      __builtin_memcpy(&a[i], (const char *)source + i * stride, 64);
    else
      a[i] = (bsk_u32x16)(0u);
  }
#define BSK_LOW(x, y) __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define BSK_HIGH(x, y) __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define BSK_LOW_2(x, y) __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define BSK_HIGH_2(x, y) __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define BSK_EVEN_4(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define BSK_ODD_4(x, y) __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i += 2) {
    b[i] = BSK_LOW(a[i], a[i + 1]);
    b[i + 1] = BSK_HIGH(a[i], a[i + 1]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i += 4) {
    a[i] = BSK_LOW_2(b[i], b[i + 2]);
    a[i + 1] = BSK_HIGH_2(b[i], b[i + 2]);
    a[i + 2] = BSK_LOW_2(b[i + 1], b[i + 3]);
    a[i + 3] = BSK_HIGH_2(b[i + 1], b[i + 3]);
  }
  // a[4g + c] now holds, in its four quarters q, column 4q + c of rows 4g ... 4g + 3.
#pragma clang loop unroll(full)
  for (int c = 0; c < 4; c++) {
    bsk_u32x16 even_low = BSK_EVEN_4(a[c], a[4 + c]), odd_low = BSK_ODD_4(a[c], a[4 + c]);
    bsk_u32x16 even_high = BSK_EVEN_4(a[8 + c], a[12 + c]), odd_high = BSK_ODD_4(a[8 + c], a[12 + c]);
    b[c] = BSK_EVEN_4(even_low, even_high);
    b[8 + c] = BSK_ODD_4(even_low, even_high);
    b[4 + c] = BSK_EVEN_4(odd_low, odd_high);
    b[12 + c] = BSK_ODD_4(odd_low, odd_high);
  }
  for (intptr_t i = 0; i < 16; i++)
    if (streams) // as bsk_stream_u32, spelled out: a call with vectors of 16 lanes is an error where registers are narrower
      __builtin_nontemporal_store(b[i], (bsk_u32x16 *)((char *)out + i * out_stride));
    else
      __builtin_memcpy((char *)out + i * out_stride, &b[i], 64);
}

// Lane i: the greatest magnitude in row i of 16 rows of 16 numbers, compared as bits.
BSK_INLINE bsk_f32x16 bsk_greatest_of_rows(const void *rows) {
  bsk_u32x16 a[16];
  __builtin_memcpy(a, rows, sizeof a);
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++)
    a[i] &= 0x7fffffffu;
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i++)
    a[i] = __builtin_elementwise_max(BSK_LOW(a[2 * i], a[2 * i + 1]), BSK_HIGH(a[2 * i], a[2 * i + 1]));
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++)
    a[i] = __builtin_elementwise_max(BSK_LOW_2(a[2 * i], a[2 * i + 1]), BSK_HIGH_2(a[2 * i], a[2 * i + 1]));
  // Each quarter of a[i] now holds greatest numbers of rows 4i ... 4i + 3.
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++)
    a[i] = __builtin_elementwise_max(BSK_EVEN_4(a[2 * i], a[2 * i + 1]), BSK_ODD_4(a[2 * i], a[2 * i + 1]));
  return (bsk_f32x16)__builtin_elementwise_max(BSK_EVEN_4(a[0], a[1]), BSK_ODD_4(a[0], a[1]));
}

#undef BSK_LOW
#undef BSK_HIGH
#undef BSK_LOW_2
#undef BSK_HIGH_2
#undef BSK_EVEN_4
#undef BSK_ODD_4

#pragma clang assume_nonnull end

#endif
