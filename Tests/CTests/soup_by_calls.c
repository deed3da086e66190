/* A soup built call by call is the soup that its soup.json describes; what each call refuses. */
#include "check.h"
#include "building.h"
#include "files.h"
#include "model.h"
#include <math.h>

static int32_t *tokens; /* 64 of models/llama3 */
static size_t token_count;

/* --- The same soup, by file and by calls --- */

static void calls_make_the_soup_of_the_file(void) {
  static const double matrix[] = {0.3, 0.7, 0.7, 0.3}, brief[] = {1, 0};
  bsoup_soup *filed = open_soup(NULL, fixture("soups/llama3-full")), *built = build(2, 2);
  bsoup_blend *left, *right;
  double one[2], other[2], read[4];
  NEED_OK(bsoup_soup_set_matrix(built, matrix, 2, 2));
  OK(bsoup_soup_matrix(built, read, 4));
  CHECK(!memcmp(read, matrix, sizeof matrix));
  left = blend_of_preference(filed, BSOUP_BLEND_AUTO, brief, 2);
  right = blend_of_preference(built, BSOUP_BLEND_AUTO, brief, 2);
  NEED_OK(bsoup_blend_coefficients(left, one, 2));
  NEED_OK(bsoup_blend_coefficients(right, other, 2));
  CHECK_NUMBERS(one, -0.75, 1.75);
  CHECK(!memcmp(one, other, sizeof one));
  CHECK(blends_agree(left, right, tokens, token_count));
  CHECK(!strcmp(info_of_blend(left).fingerprint, info_of_blend(right).fingerprint));
  bsoup_blend_free(left);
  bsoup_blend_free(right);
  bsoup_soup_free(filed);
  bsoup_soup_free(built);
}

static void adapters_and_the_bone_rule(void) {
  static const char *const adapters[] = {"plain", "patterns", "attention"}, *const names[] = {"brief", "happy", "rich"};
  static const double rich[] = {0, 0, 1};
  bsoup_soup *filed = open_soup(NULL, fixture("soups/llama3-lora"));
  bsoup_soup *built = open_soup(NULL, fixture("models/llama3"));
  bsoup_blend *left, *right;
  double coefficients[3];
  int i;
  for (i = 0; i < 3; i++) {
    OK(add_objective(built, names[i], 0, 1));
    OK(bsoup_soup_add_backbone(built, fixture(name("models/llama3/adapters/%s", adapters[i])), NULL, NULL));
  }
  NEED_OK(bsoup_soup_set_bone_matrix(built, 0.6));
  left = blend_of_preference(filed, BSOUP_BLEND_AUTO, rich, 3);
  right = blend_of_preference(built, BSOUP_BLEND_AUTO, rich, 3);
  CHECK(info_of_blend(left).kind == BSOUP_BLEND_LIVE && info_of_blend(right).kind == BSOUP_BLEND_LIVE);
  NEED_OK(bsoup_blend_coefficients(right, coefficients, 3));
  CHECK_NUMBERS(coefficients, -0.5, -0.5, 2);
  CHECK(blends_agree(left, right, tokens, token_count));
  bsoup_blend_free(left);
  bsoup_blend_free(right);
  bsoup_soup_free(filed);
  bsoup_soup_free(built);
}

static void blends_keep_the_soup_as_it_was(void) {
  static const double matrix[] = {0.3, 0.7, 0.7, 0.3}, brief[] = {1, 0};
  bsoup_soup *soup = build(2, 2);
  bsoup_blend *blend;
  size_t count;
  float *before, *after;
  double coefficients[3], numbers[6];
  NEED_OK(bsoup_soup_set_matrix(soup, matrix, 2, 2));
  blend = blend_of_preference(soup, BSOUP_BLEND_AUTO, brief, 2);
  before = logits_of(blend, tokens, token_count, &count);
  OK(bsoup_soup_add_backbone(soup, fixture("models/llama3/adapters/plain"), NULL, NULL));
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_matrix(soup, numbers, 6)); /* dropped by the new backbone */
  CHECK(solve(soup, brief, 2, coefficients) != BSOUP_OK);
  after = logits_of(blend, tokens, token_count, &count);
  CHECK(same_bits(before, after, count));
  OK(bsoup_blend_coefficients(blend, coefficients, 2));
  CHECK_NUMBERS(coefficients, -0.75, 1.75);
  free(before);
  free(after);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
}

/* --- The matrix --- */

static void a_matrix_must_fit_and_have_full_rank(void) {
  static const double singular[] = {0.5, 0.5, 0.5, 0.5}, close[] = {0.5, 0.5, 0.5, 0.5 + 1e-9};
  static const double holes[] = {0.3, NAN, 0.7, 0.3}, endless[] = {0.3, INFINITY, 0.7, 0.3}, good[] = {1, 0, 0, 1};
  bsoup_soup *soup = build(2, 2), *uneven = build(3, 2);
  double numbers[4];
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_matrix(soup, numbers, 4));
  FAILS_SAYING(BSOUP_MISMATCH, "3", bsoup_soup_set_matrix(soup, good, 3, 2));
  FAILS_SAYING(BSOUP_MISMATCH, "1", bsoup_soup_set_matrix(soup, good, 2, 1));
  FAILS(BSOUP_UNSOLVABLE, bsoup_soup_set_matrix(soup, singular, 2, 2));
  FAILS(BSOUP_UNSOLVABLE, bsoup_soup_set_matrix(soup, close, 2, 2));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_matrix(soup, holes, 2, 2));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_matrix(soup, endless, 2, 2));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_matrix(soup, NULL, 2, 2));
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_matrix(soup, numbers, 4)); /* nothing was set on the way */
  OK(bsoup_soup_set_matrix(soup, good, 2, 2));
  FAILS(BSOUP_UNSOLVABLE, bsoup_soup_set_matrix(soup, singular, 2, 2));
  OK(bsoup_soup_matrix(soup, numbers, 4)); /* and the good one is kept */
  CHECK_NUMBERS(numbers, 1, 0, 0, 1);
  FAILS(BSOUP_MISMATCH, bsoup_soup_matrix(soup, numbers, 3));
  FAILS_SAYING(BSOUP_UNSOLVABLE, "beta", bsoup_soup_set_bone_matrix(soup, 0.5));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_bone_matrix(soup, NAN));
  FAILS_SAYING(BSOUP_MISMATCH, "3", bsoup_soup_set_bone_matrix(uneven, 0.7));
  bsoup_soup_free(soup);
  bsoup_soup_free(uneven);
}

static void golden_coefficients(void) {
  static const double skewed[] = {0.8, 0.2, 0.4, 0.6}, brief[] = {1, 0}, both[] = {0.5, 0.5}, third[] = {1, 0, 0};
  static const double equal[] = {1.0 / 3, 1.0 / 3, 1.0 / 3};
  bsoup_soup *two = build(2, 2), *three = build(3, 3);
  double coefficients[3];
  NEED_OK(bsoup_soup_set_matrix(two, skewed, 2, 2));
  OK(solve(two, brief, 2, coefficients));
  CHECK_NUMBERS(coefficients, 1.5, -0.5);
  NEED_OK(bsoup_soup_set_bone_matrix(two, 0.3));
  OK(solve(two, brief, 2, coefficients));
  CHECK_NUMBERS(coefficients, -0.75, 1.75);
  OK(solve(two, both, 2, coefficients));
  CHECK_NUMBERS(coefficients, 0.5, 0.5);
  NEED_OK(bsoup_soup_set_bone_matrix(three, 0.6));
  OK(solve(three, third, 3, coefficients));
  CHECK_NUMBERS(coefficients, 2, -0.5, -0.5);
  OK(solve(three, equal, 3, coefficients));
  CHECK_NUMBERS(coefficients, 1.0 / 3, 1.0 / 3, 1.0 / 3);
  NEED_OK(bsoup_soup_set_bone_matrix(three, 1));
  OK(solve(three, third, 3, coefficients));
  CHECK(coefficients[0] == 1 && coefficients[1] == 0 && coefficients[2] == 0); /* Rewarded Soup, snapped */
  bsoup_soup_free(two);
  bsoup_soup_free(three);
}

static void more_or_fewer_backbones_than_objectives(void) {
  static const double row[] = {0.5, 0.5}, both[] = {0.5, 0.5}, brief[] = {1, 0};
  static const double tall[] = {1, 0, 0, 1, 0.5, 0.5};
  bsoup_soup *fewer = build(1, 2), *more = build(3, 2);
  double coefficients[3] = {9, 9, 9};
  NEED_OK(bsoup_soup_set_matrix(fewer, row, 1, 2));
  OK(solve(fewer, both, 2, coefficients));
  CHECK_NUMBERS(coefficients, 1);
  FAILS_SAYING(BSOUP_UNSOLVABLE, "by 0.5", solve(fewer, brief, 2, coefficients));
  NEED_OK(bsoup_soup_set_matrix(more, tall, 3, 2));
  OK(solve(more, both, 2, coefficients));
  CHECK_NUMBERS(coefficients, 1.0 / 3, 1.0 / 3, 1.0 / 3); /* the solution nearest to uniform */
  OK(solve(more, brief, 2, coefficients));
  CHECK_NEAR(coefficients[0] + coefficients[2] / 2, 1, 1e-9);
  CHECK_NEAR(coefficients[1] + coefficients[2] / 2, 0, 1e-9);
  bsoup_soup_free(fewer);
  bsoup_soup_free(more);
}

static void extrapolation_stretches_vertices(void) {
  static const double factors[] = {2, 1}, small[] = {0.5, 1}, holes[] = {NAN, 1}, both[] = {0.5, 0.5}, brief[] = {1, 0};
  static const double row[] = {0.5, 0.5};
  bsoup_soup *soup = build(2, 2), *fewer = build(1, 2);
  bsoup_objective_info info = {.struct_size = sizeof info};
  double coefficients[2];
  FAILS(BSOUP_MISMATCH, bsoup_soup_set_extrapolation(soup, factors, 2));
  NEED_OK(bsoup_soup_set_bone_matrix(soup, 0.3));
  FAILS(BSOUP_MISMATCH, bsoup_soup_set_extrapolation(soup, factors, 1));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_extrapolation(soup, small, 2));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_extrapolation(soup, holes, 2));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_extrapolation(soup, NULL, 2));
  OK(bsoup_soup_set_extrapolation(soup, factors, 2));
  OK(bsoup_soup_objective(soup, 0, &info));
  CHECK(info.extrapolation == 2);
  OK(solve(soup, brief, 2, coefficients));
  CHECK_NUMBERS(coefficients, -1.5, 3.5);
  OK(solve(soup, both, 2, coefficients)); /* .5·2·(−.75, 1.75) + .5·(1.75, −.75) */
  CHECK_NUMBERS(coefficients, 0.125, 1.375);
  NEED_OK(bsoup_soup_set_matrix(fewer, row, 1, 2));
  FAILS(BSOUP_UNSOLVABLE, bsoup_soup_set_extrapolation(fewer, factors, 2));
  OK(add_objective(soup, "rich", 0, 1)); /* drops the matrix and the factors */
  OK(bsoup_soup_objective(soup, 0, &info));
  CHECK(info.extrapolation == 1);
  bsoup_soup_free(soup);
  bsoup_soup_free(fewer);
}

int main(void) {
  check_time_limit();
  tokens = read_tokens(fixture("models/llama3/expected.safetensors"), "tokens", &token_count);
  RUN(calls_make_the_soup_of_the_file);
  RUN(adapters_and_the_bone_rule);
  RUN(blends_keep_the_soup_as_it_was);
  RUN(a_matrix_must_fit_and_have_full_rank);
  RUN(golden_coefficients);
  RUN(more_or_fewer_backbones_than_objectives);
  RUN(extrapolation_stretches_vertices);
  free(tokens);
  return check_finish();
}
