/*
 * Short forms for what most tests begin with. After a failure, which counts against the test, they return NULL.
 */
#ifndef MODEL_H
#define MODEL_H

#include "check.h"
#include "files.h"

static inline bsoup_soup *open_soup(bsoup_engine *engine, const char *path) {
  bsoup_soup *soup = NULL;
  OK(bsoup_soup_open(engine, path, NULL, &soup));
  return soup;
}

/* With the weights in a format of BSOUP_FORMAT_*. */
static inline bsoup_soup *open_soup_as(bsoup_engine *engine, const char *path, uint32_t format) {
  bsoup_soup *soup = NULL;
  bsoup_open_options options;
  bsoup_open_options_init(&options, sizeof options);
  options.weights = format;
  OK(bsoup_soup_open(engine, path, &options, &soup));
  return soup;
}

static inline bsoup_blend *default_blend(bsoup_soup *soup) {
  bsoup_blend *blend = NULL;
  OK(bsoup_blend_create(soup, NULL, &blend));
  return blend;
}

static inline bsoup_blend *blend_of_coefficients(bsoup_soup *soup, uint32_t kind, const double *coefficients,
                                                 uint32_t count) {
  bsoup_blend *blend = NULL;
  bsoup_blend_options options;
  bsoup_blend_options_init(&options, sizeof options);
  options.kind = kind;
  options.coefficients = coefficients;
  options.coefficient_count = count;
  OK(bsoup_blend_create(soup, &options, &blend));
  return blend;
}

static inline bsoup_blend *blend_of_preference(bsoup_soup *soup, uint32_t kind, const double *preference,
                                               uint32_t count) {
  bsoup_blend *blend = NULL;
  bsoup_blend_options options;
  bsoup_blend_options_init(&options, sizeof options);
  options.kind = kind;
  options.preference = preference;
  options.preference_count = count;
  OK(bsoup_blend_create(soup, &options, &blend));
  return blend;
}

static inline bsoup_session *new_session(bsoup_blend *blend) {
  bsoup_session *session = NULL;
  OK(bsoup_session_create(blend, NULL, &session));
  return session;
}

static inline bsoup_status decode_one(bsoup_session *session) { return bsoup_decode(&session, 1, NULL); }

/* A copy of the session's last logits; free() it. */
static inline float *copy_logits(bsoup_session *session, size_t *count) {
  const float *logits = NULL;
  float *copy = NULL;
  *count = 0;
  if (OK(bsoup_session_logits(session, -1, &logits, count)) && (copy = malloc(*count * sizeof *copy)))
    memcpy(copy, logits, *count * sizeof *copy);
  return copy;
}

/* The logits after these tokens, of a session that is made for it; free() them. */
static inline float *logits_of(bsoup_blend *blend, const int32_t *tokens, size_t token_count, size_t *count) {
  bsoup_session *session = new_session(blend);
  float *logits = NULL;
  *count = 0;
  if (OK(bsoup_session_append(session, tokens, token_count)) && OK(decode_one(session)))
    logits = copy_logits(session, count);
  bsoup_session_free(session);
  return logits;
}

static inline int same_bits(const float *left, const float *right, size_t count) {
  return left && right && count && memcmp(left, right, count * sizeof *left) == 0;
}

/* Whether two blends give the same bits after these tokens. */
static inline int blends_agree(bsoup_blend *left, bsoup_blend *right, const int32_t *tokens, size_t token_count) {
  size_t left_count, right_count;
  float *one = logits_of(left, tokens, token_count, &left_count);
  float *other = logits_of(right, tokens, token_count, &right_count);
  int agree = left_count == right_count && same_bits(one, other, left_count);
  free(one);
  free(other);
  return agree;
}

static inline int32_t highest(const float *logits, size_t count) {
  size_t best = 0, i;
  for (i = 1; i < count; i++)
    if (logits[i] > logits[best])
      best = i;
  return (int32_t)best;
}

/* The info of a generation, all zero where there is none. */
static inline bsoup_generation_info result_of(bsoup_generation *generation) {
  bsoup_generation_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  OK(bsoup_generation_get_info(generation, &info));
  return info;
}

static inline bsoup_blend_info info_of_blend(bsoup_blend *blend) {
  bsoup_blend_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  OK(bsoup_blend_get_info(blend, &info));
  return info;
}

static inline bsoup_session_info info_of_session(bsoup_session *session) {
  bsoup_session_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  OK(bsoup_session_get_info(session, &info));
  return info;
}

#endif
