/* Folded and live blends: whose bits they have, and changes of a session's blend. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <math.h>

static int32_t *tokens; /* 64 of models/llama3 */
static size_t token_count;
static bsoup_soup *full, *lora, *base; /* base: models/llama3 itself */

/* --- Bits --- */

static void one_backbone_alone_has_its_own_bits(void) {
  static const uint32_t formats[] = {BSOUP_FORMAT_DEFAULT, BSOUP_FORMAT_F32, BSOUP_FORMAT_BF16, BSOUP_FORMAT_F16};
  static const double one_hot[2][2] = {{1, 0}, {0, 1}};
  size_t i, j;
  for (i = 0; i < 4; i++)
    for (j = 0; j < 2; j++) {
      bsoup_soup *soup = open_soup_as(NULL, fixture("soups/llama3-full"), formats[i]);
      bsoup_soup *alone = open_soup_as(NULL, fixture(name("soups/llama3-full/backbones/%d", (int)j)), formats[i]);
      bsoup_blend *mixed = blend_of_coefficients(soup, BSOUP_BLEND_FOLDED, one_hot[j], 2), *own = default_blend(alone);
      CHECK(info_of_blend(mixed).base_share == 0);
      CHECK(blends_agree(mixed, own, tokens, token_count));
      bsoup_blend_free(mixed);
      bsoup_blend_free(own);
      bsoup_soup_free(soup);
      bsoup_soup_free(alone);
    }
}

static void coefficients_of_zero_give_the_base(void) {
  static const double none[3] = {0, 0, 0}, minus[3] = {-0.0, -0.0, -0.0};
  bsoup_blend *own = default_blend(base);
  bsoup_blend *others[] = {blend_of_coefficients(full, BSOUP_BLEND_FOLDED, none, 2),
                           blend_of_coefficients(lora, BSOUP_BLEND_FOLDED, none, 3),
                           blend_of_coefficients(lora, BSOUP_BLEND_LIVE, none, 3),
                           blend_of_coefficients(lora, BSOUP_BLEND_LIVE, minus, 3)};
  size_t i;
  for (i = 0; i < sizeof others / sizeof *others; i++) {
    CHECK(blends_agree(own, others[i], tokens, token_count));
    bsoup_blend_free(others[i]);
  }
  bsoup_blend_free(own);
}

/* ‖a − b‖ / ‖b‖ */
static double distance(const float *a, const float *b, size_t count) {
  double difference = 0, norm = 0;
  size_t i;
  for (i = 0; i < count; i++) {
    difference += (double)(a[i] - b[i]) * (a[i] - b[i]);
    norm += (double)b[i] * b[i];
  }
  return sqrt(difference / norm);
}

static void logits_are_the_expected_ones(void) {
  static const struct {
    const char *soup;
    uint32_t backbones;
    int live;
  } rows[] = {{"llama3-full", 2, 0}, {"llama3-lora", 3, 1}, {"qwen2-lora", 2, 1}, {"llama2-embeddings", 1, 1}};
  size_t i, blend_index, kind;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char *file = name("%s/expected.safetensors", fixture(name("soups/%s", rows[i].soup)));
    size_t coefficient_count, logit_count, own_count, count, j;
    float *coefficients = read_tensor(file, "coefficients", &coefficient_count);
    float *logits = read_tensor(file, "logits", &logit_count);
    int32_t *own = read_tokens(file, "tokens", &own_count);
    size_t blends = coefficient_count / rows[i].backbones, vocabulary = logit_count / blends / 16;
    bsoup_soup *soup = open_soup(NULL, fixture(name("soups/%s", rows[i].soup)));
    for (blend_index = 0; blend_index < blends; blend_index++)
      for (kind = BSOUP_BLEND_FOLDED; kind <= BSOUP_BLEND_FOLDED + (size_t)rows[i].live; kind++) {
        double values[3];
        bsoup_blend *blend;
        float *got;
        for (j = 0; j < rows[i].backbones; j++)
          values[j] = coefficients[blend_index * rows[i].backbones + j];
        blend = blend_of_coefficients(soup, (uint32_t)kind, values, rows[i].backbones);
        got = logits_of(blend, own, own_count, &count);
        if (CHECK(got && count == vocabulary))
          CHECK(distance(got, logits + (blend_index * 16 + 15) * vocabulary, vocabulary) < 1e-4);
        free(got);
        bsoup_blend_free(blend);
      }
    bsoup_soup_free(soup);
    free(coefficients);
    free(logits);
    free(own);
  }
}

static bsoup_blend *with_multipliers(const double *coefficients, const float *multipliers) {
  bsoup_blend *blend = NULL;
  bsoup_blend_options options;
  bsoup_blend_options_init(&options, sizeof options);
  options.kind = BSOUP_BLEND_LIVE;
  options.coefficients = coefficients;
  options.coefficient_count = 3;
  options.layer_multipliers = multipliers;
  options.layer_multiplier_count = 6;
  OK(bsoup_blend_create(lora, &options, &blend));
  return blend;
}

static void layers_can_be_turned_down(void) {
  static const float ones[] = {1, 1, 1, 1, 1, 1}, none[6] = {0}, other[] = {1, 0.5, 1, 1, 0, 1};
  static const float twice[] = {2, 2, 1, 1, 1, 1};
  static const double mixed[] = {0.5, -0.25, 1.5}, doubled[] = {1, -0.25, 1.5};
  bsoup_blend *plain = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, mixed, 3), *own = default_blend(base);
  bsoup_blend *more = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, doubled, 3);
  bsoup_blend *all = with_multipliers(mixed, ones), *off = with_multipliers(mixed, none);
  bsoup_blend *some = with_multipliers(mixed, other), *higher = with_multipliers(mixed, twice);
  CHECK(blends_agree(plain, all, tokens, token_count));
  CHECK(blends_agree(own, off, tokens, token_count));
  CHECK(blends_agree(more, higher, tokens, token_count));
  CHECK(!blends_agree(plain, some, tokens, token_count));
  CHECK(strcmp(info_of_blend(plain).fingerprint, info_of_blend(some).fingerprint) != 0);
  CHECK(strcmp(info_of_blend(off).fingerprint, info_of_blend(some).fingerprint) != 0);
  bsoup_blend_free(plain);
  bsoup_blend_free(own);
  bsoup_blend_free(more);
  bsoup_blend_free(all);
  bsoup_blend_free(off);
  bsoup_blend_free(some);
  bsoup_blend_free(higher);
}

static void infos_tell_blends_apart(void) {
  static const double one[] = {1, 0, 0}, other[] = {1, 0, 0.5};
  bsoup_blend *live = blend_of_coefficients(lora, BSOUP_BLEND_AUTO, one, 3);
  bsoup_blend *again = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, one, 3);
  bsoup_blend *folded = blend_of_coefficients(lora, BSOUP_BLEND_FOLDED, one, 3);
  bsoup_blend *moved = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, other, 3);
  bsoup_blend_info info = info_of_blend(live), last = info_of_blend(folded);
  CHECK(info.kind == BSOUP_BLEND_LIVE && last.kind == BSOUP_BLEND_FOLDED && last.memory > info.memory);
  CHECK(info.objective_count == 0 && info.backbone_count == 3 && info.condition == 0 && info.base_share == 1);
  CHECK(info.adjustments == 0 && info.progress == 1 && info.state == BSOUP_OK);
  CHECK(strlen(info.fingerprint) == 64 && !strcmp(info.fingerprint, info_of_blend(again).fingerprint));
  CHECK(strcmp(info.fingerprint, last.fingerprint) != 0);
  CHECK(strcmp(info.fingerprint, info_of_blend(moved).fingerprint) != 0);
  bsoup_blend_free(live);
  bsoup_blend_free(again);
  bsoup_blend_free(folded);
  bsoup_blend_free(moved);
}

/* --- Another blend for a session --- */

static void recompute_makes_a_session_pure(void) {
  static const double one[] = {1, 0, 0}, other[] = {-0.5, 1, 0.5};
  bsoup_blend *first = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, one, 3);
  bsoup_blend *second = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, other, 3);
  bsoup_blend *folded = blend_of_coefficients(lora, BSOUP_BLEND_FOLDED, one, 3);
  bsoup_blend *order[] = {second, folded, first};
  bsoup_session *session = new_session(first);
  int i;
  OK(bsoup_session_append(session, tokens, token_count));
  OK(decode_one(session));
  for (i = 0; i < 3; i++) {
    bsoup_session *fresh = new_session(order[i]);
    float *expected, *got;
    size_t count;
    OK(bsoup_session_set_blend(session, order[i], BSOUP_RECOMPUTE));
    CHECK(info_of_session(session).computed_count == 0);
    CHECK(!strcmp(info_of_session(session).fingerprint, info_of_session(fresh).fingerprint));
    OK(decode_one(session));
    expected = logits_of(order[i], tokens, token_count, &count);
    got = copy_logits(session, &count);
    CHECK(same_bits(expected, got, count));
    free(expected);
    free(got);
    bsoup_session_free(fresh);
  }
  bsoup_session_free(session);
  bsoup_blend_free(first);
  bsoup_blend_free(second);
  bsoup_blend_free(folded);
}

static void continue_keeps_the_cache_and_says_so(void) {
  static const double one[] = {1, 0, 0}, other[] = {-0.5, 1, 0.5};
  bsoup_blend *first = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, one, 3);
  bsoup_blend *second = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, other, 3);
  bsoup_session *session = new_session(first), *fresh = new_session(second);
  float *before, *kept, *pure, *now;
  size_t count;
  bsoup_session_info info;
  OK(bsoup_session_append(session, tokens, 40));
  OK(decode_one(session));
  before = copy_logits(session, &count);
  OK(bsoup_session_set_blend(session, second, BSOUP_CONTINUE));
  kept = copy_logits(session, &count); /* still the old blend's */
  CHECK(same_bits(before, kept, count));
  info = info_of_session(session);
  CHECK(info.computed_count == 40 && strlen(info.fingerprint) == 64);
  CHECK(strcmp(info.fingerprint, info_of_session(fresh).fingerprint) != 0);
  OK(bsoup_session_append(session, tokens + 40, token_count - 40));
  OK(decode_one(session));
  CHECK(!strcmp(info.fingerprint, info_of_session(session).fingerprint));
  now = copy_logits(session, &count);
  pure = logits_of(second, tokens, token_count, &count);
  CHECK(!same_bits(now, pure, count));
  free(now);
  OK(bsoup_session_rewind(session, 0)); /* nothing of the old cache is left */
  CHECK(!strcmp(info_of_session(session).fingerprint, info_of_session(fresh).fingerprint));
  OK(bsoup_session_append(session, tokens, token_count));
  OK(decode_one(session));
  now = copy_logits(session, &count);
  CHECK(same_bits(now, pure, count));
  free(before);
  free(kept);
  free(pure);
  free(now);
  bsoup_session_free(session);
  bsoup_session_free(fresh);
  bsoup_blend_free(first);
  bsoup_blend_free(second);
}

static void a_blend_of_another_soup_is_refused(void) {
  bsoup_soup *again = open_soup(NULL, fixture("soups/llama3-lora"));
  bsoup_blend *first = default_blend(lora), *other = default_blend(again);
  bsoup_session *session = new_session(first);
  FAILS(BSOUP_MISMATCH, bsoup_session_set_blend(session, other, BSOUP_RECOMPUTE));
  FAILS(BSOUP_MISMATCH, bsoup_session_set_blend(session, other, BSOUP_CONTINUE));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_set_blend(session, first, 7));
  bsoup_session_free(session);
  bsoup_blend_free(first);
  bsoup_blend_free(other);
  bsoup_soup_free(again);
}

int main(void) {
  check_time_limit();
  tokens = read_tokens(fixture("models/llama3/expected.safetensors"), "tokens", &token_count);
  full = open_soup(NULL, fixture("soups/llama3-full"));
  lora = open_soup(NULL, fixture("soups/llama3-lora"));
  base = open_soup(NULL, fixture("models/llama3"));
  RUN(one_backbone_alone_has_its_own_bits);
  RUN(coefficients_of_zero_give_the_base);
  RUN(logits_are_the_expected_ones);
  RUN(layers_can_be_turned_down);
  RUN(infos_tell_blends_apart);
  RUN(recompute_makes_a_session_pure);
  RUN(continue_keeps_the_cache_and_says_so);
  RUN(a_blend_of_another_soup_is_refused);
  bsoup_soup_free(full);
  bsoup_soup_free(lora);
  bsoup_soup_free(base);
  free(tokens);
  return check_finish();
}
