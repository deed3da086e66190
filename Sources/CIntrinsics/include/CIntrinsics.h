// The table by which a kernel level is called, and what the kernels are made of.
#ifndef CINTRINSICS_H
#define CINTRINSICS_H

#include "Attention.h"
#include "Dot.h"
#include "Files.h"
#include "Processor.h"
#include "Random.h"
#include "Streaming.h"
#include "Vectors.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#pragma clang assume_nonnull begin

// What the processor and the operating system offer

// Whether this machine runs code of the AVX2 level (AVX2, FMA, F16C), of the AVX-512 level (F, DQ, BW, VL, VNNI besides),
// and of that with BF16; and who made it. Leaf and bit numbers: Intel SDM, volume 2, CPUID and XGETBV.
typedef struct {
  bool avx2;
  bool avx512;
  bool avx512bf16;
  bool is_intel;
} bsk_machine;

BSK_INLINE bsk_machine bsk_this_machine(void) {
  bsk_machine machine = {false, false, false, false};
#if defined(__x86_64__)
  const unsigned f16c_avx_osxsave_fma = 1u << 29 | 1u << 28 | 1u << 27 | 1u << 12;
  const unsigned f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  unsigned a = 0, b = 0, c = 0, d = 0;
  machine.is_intel = __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & f16c_avx_osxsave_fma) != f16c_avx_osxsave_fma)
    return machine;
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
    return machine;
  machine.avx2 = (b & 1u << 5) != 0;
  bool wide = (low & 0xe6) == 0xe6 && (b & f_dq_bw_vl) == f_dq_bw_vl && (c & 1u << 11) != 0;
  machine.avx512 = machine.avx2 && wide;
  machine.avx512bf16 = machine.avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5) != 0;
#endif
  return machine;
}

// A group of tokens in the input of a product: tokens `first` ... `first` + `count` − 1 of the rows of y, `width` places
// side by side (1, 2, 3, 4, 6, 8 or 12) after the `before` places of the groups before it.
typedef struct {
  intptr_t first;
  intptr_t before;
  int32_t count;
  int32_t width;
} bsk_group;

// Weights in panels of 32 rows, k columns, and the input that they are multiplied by, packed for their format.
typedef struct {
  const void *panels;
  intptr_t panel_bytes;
  const void *input;
  intptr_t k;
  uint8_t format;
} bsk_factor;

// A summand of a merge: coefficient · source.
typedef struct {
  const void *source;
  float coefficient;
} bsk_term;

// The kernels of one level. `type` is an ElementType's raw value. The Swift type `Kernels` documents each.
typedef struct __attribute__((swift_attr("@Sendable"))) {
  void (*matmul)(bsk_factor weights, const bsk_factor *_Nullable adapter, const bsk_group *groups, intptr_t group_count,
                 intptr_t adapted_groups, intptr_t first_panel, intptr_t end_panel, intptr_t rows,
                 const float *_Nullable start, intptr_t start_stride, float *y, intptr_t ldy, void *_Nullable scratch);
  void (*pack_input)(uint8_t format, const float *x, intptr_t ldx, intptr_t count, intptr_t width, intptr_t k,
                     void *out);
  void (*pack_rows)(uint8_t format, uint8_t type, const void *source, intptr_t ld, intptr_t count, intptr_t k,
                    intptr_t first, intptr_t columns, bool streams, void *out);
  void (*pack_sums)(uint8_t format, uint8_t type, const bsk_term *terms, intptr_t term_count, intptr_t rows, intptr_t k,
                    void *out);
  void (*unpack_row)(uint8_t format, const void *panel, intptr_t row, intptr_t rows, intptr_t k, float *out);
  intptr_t (*panel_bytes)(uint8_t format, intptr_t k);
  intptr_t (*token_bytes)(uint8_t format, intptr_t k);
  void (*attention)(const bsk_attention *call);
  void (*store_key)(const float *key, uint8_t format, intptr_t head_dim, intptr_t slot, void *panel);
  void (*store_value)(const float *value, uint8_t format, intptr_t head_dim, intptr_t slot, void *panel);
  void (*rms_norm)(const float *x, const float *weight, float epsilon, intptr_t count, float *y);
  void (*rotate)(float *x, intptr_t head_count, intptr_t head_dim, intptr_t rotary_dim, const float *cosine,
                 const float *sine);
  void (*silu_multiply)(const float *gate, const float *up, intptr_t count, float *out);
  void (*add)(float *x, const float *y, intptr_t count);
  float (*softmax)(float *x, intptr_t count);
  float (*log_sum_exp)(const float *x, intptr_t count);
  void (*exponential)(const float *x, intptr_t count, float *out);
  float (*weigh)(const float *x, intptr_t count, float temperature, float *out, double *sums);
  void (*widen)(uint8_t type, const void *source, intptr_t count, float *out);
  void (*narrow)(const float *source, uint8_t type, intptr_t count, void *out);
  void (*scale)(float coefficient, uint8_t type, const void *source, intptr_t count, float *out);
  void (*scale_add)(float coefficient, uint8_t type, const void *source, intptr_t count, float *accumulator);
  void (*merge)(const bsk_term *terms, intptr_t term_count, uint8_t type, intptr_t count, bool accumulate, float *out);
  intptr_t (*first_non_finite)(uint8_t type, const void *source, intptr_t count);
  float (*arithmetic_peak)(uint8_t kind, const void *operands, intptr_t rounds);
  intptr_t (*arithmetic_peak_operations)(uint8_t kind);
  uint32_t (*read_stream)(const void *source, intptr_t count);
  void (*merge_streams)(const void *a, const void *b, const void *c, intptr_t count, void *out);
  void (*multiply_f64)(const float *a, intptr_t a_row, intptr_t a_column, const void *b, bool b_is_f64, intptr_t ldb,
                       intptr_t m, intptr_t n, intptr_t k, double *c, intptr_t ldc);
  double (*dot_f64)(const double *x, const double *y, intptr_t count);
  void (*scale_add_f64)(double coefficient, const double *x, intptr_t count, double *y);
  void (*rotate_rows_f64)(const double *rotations, intptr_t count, double *z, intptr_t ldz, intptr_t top,
                          intptr_t columns);
  double (*product_sum)(const float *x, const float *y, intptr_t count);
  double (*magnitude_sum)(const float *x, intptr_t count);
  void (*subtract)(const float *x, const float *y, intptr_t count, float *out);
  void (*difference)(uint8_t type, const void *source, const float *base, intptr_t count, float *out);
  void (*divide)(float *x, float divisor, intptr_t count);
  void (*combine)(const float *x, float cx, const float *y, float cy, float divisor, const float *_Nullable base,
                  intptr_t count, float *out);
  void (*variance)(const float *_Nonnull const *_Nonnull deltas, intptr_t n, intptr_t count, float *out);
  intptr_t (*magnitude_histogram)(const float *x, intptr_t count, uint32_t low, uint32_t shift, uint32_t bins,
                                  uint32_t *histogram);
  intptr_t (*magnitude_count)(const float *x, intptr_t count, uint32_t bits);
  void (*keep_magnitudes)(float *x, intptr_t count, uint32_t low, uint32_t high);
  void (*random_words)(uint64_t seed, uint32_t first, uint32_t c1, uint32_t c2, uint32_t c3, intptr_t count,
                       uint32_t *out);
  void (*keep_words)(float *x, const uint32_t *words, uint32_t limit, intptr_t count);
  double (*draw)(const float *x, const uint32_t *words, uint32_t limit, intptr_t count, uint16_t *bits);
  void (*prune_row)(float *x, intptr_t count, const uint32_t *words, const uint32_t *limits, uint64_t *scratch);
  void (*merge_deltas)(const float *_Nonnull const *_Nonnull deltas, const float *factors, intptr_t n, uint32_t flags,
                       float divisor, float lambda, const float *base, intptr_t count, float *out);
  void (*count_deltas)(uint8_t type, const void *source, const void *base, intptr_t count, uint32_t low, uint32_t shift,
                       uint32_t bins, uint32_t known, uint32_t *histogram, intptr_t *counts);
  void (*merge_sources)(uint8_t type, const void *_Nonnull const *_Nonnull sources, const uint32_t *lows,
                        const float *factors, intptr_t n, bool elects, float lambda, const void *base, intptr_t count,
                        float *out);
  void (*keep_chosen)(float *x, const float *chosen, intptr_t count);
  void (*pack_chosen)(const float *chosen, intptr_t count, uint16_t *bits);
  void (*keep_packed)(float *x, const uint16_t *bits, intptr_t count);
} bsk_kernels;

#pragma clang assume_nonnull end

#endif
