/* Preferences: guard rails, defaults, names, presets, sliders, and what a blend would be. */
#include "check.h"
#include "building.h"
#include "files.h"
#include "model.h"
#include <math.h>

/* --- Guard rails --- */

static void guard_rails_reject_or_clamp(void) {
  static const double brief[] = {1, 0}, inside[] = {0.5, 0.5};
  bsoup_soup *soup = build(2, 0);
  bsoup_blend_options options;
  bsoup_blend_info info = {.struct_size = sizeof info};
  double preference[2], coefficients[2];
  NEED_OK(add_objective(soup, "brief", 0.1, 0.6));
  NEED_OK(add_objective(soup, "happy", 0, 1));
  NEED_OK(bsoup_soup_set_bone_matrix(soup, 0.7));
  FAILS_SAYING(BSOUP_GUARD_RAIL, "brief", solve(soup, brief, 2, NULL));
  OK(solve(soup, inside, 2, NULL));
  OK(bsoup_soup_set_guard(soup, 0, BSOUP_GUARD_CLAMP));
  bsoup_blend_options_init(&options, sizeof options);
  options.preference = brief;
  options.preference_count = 2;
  OK(bsoup_soup_solve(soup, &options, preference, coefficients, &info));
  CHECK_NUMBERS(preference, 0.6, 0.4);
  CHECK(info.adjustments == BSOUP_ADJUSTED_CLAMPED);
  CHECK_NUMBERS(coefficients, 0.75, 0.25);
  bsoup_soup_free(soup);
}

static void coefficients_have_a_limit(void) {
  static const double brief[] = {1, 0}, wild[] = {2.5, 0}, tame[] = {1.5, -1.5};
  bsoup_soup *soup = build(2, 2);
  bsoup_soup_info info = {.struct_size = sizeof info};
  bsoup_blend_options options;
  NEED_OK(bsoup_soup_set_bone_matrix(soup, 0.7));
  OK(bsoup_soup_set_guard(soup, 1.5, BSOUP_GUARD_CLAMP)); /* a clamp never touches coefficients */
  OK(bsoup_soup_get_info(soup, &info));
  CHECK(info.max_abs_coefficient == 1.5 && info.on_violation == BSOUP_GUARD_CLAMP);
  FAILS_SAYING(BSOUP_GUARD_RAIL, "1.75", solve(soup, brief, 2, NULL));
  bsoup_blend_options_init(&options, sizeof options);
  options.coefficients = wild;
  options.coefficient_count = 2;
  FAILS_SAYING(BSOUP_GUARD_RAIL, "2.5", bsoup_soup_solve(soup, &options, NULL, NULL, NULL));
  options.coefficients = tame;
  OK(bsoup_soup_solve(soup, &options, NULL, NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_guard(soup, -1, BSOUP_GUARD_REJECT));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_guard(soup, NAN, BSOUP_GUARD_REJECT));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_set_guard(soup, 1, 7));
  bsoup_soup_free(soup);
}

static void an_empty_box_is_noticed_by_the_blend(void) {
  static const double both[] = {0.5, 0.5};
  bsoup_soup *soup = build(2, 0);
  OK(add_objective(soup, "brief", 0.7, 1));
  OK(add_objective(soup, "happy", 0.7, 1));
  NEED_OK(bsoup_soup_set_bone_matrix(soup, 0.7));
  FAILS(BSOUP_GUARD_RAIL, solve(soup, both, 2, NULL));
  OK(bsoup_soup_set_guard(soup, 0, BSOUP_GUARD_CLAMP));
  FAILS(BSOUP_GUARD_RAIL, solve(soup, both, 2, NULL));
  bsoup_soup_free(soup);
}

/* --- Preferences --- */

static void preferences_are_renormalised_within_a_limit(void) {
  static const double thirds[] = {0.33, 0.33, 0.33}, short_of[] = {0.5, 0.4, 0};
  bsoup_soup *soup = build(3, 3);
  bsoup_blend_options options;
  bsoup_blend_info info = {.struct_size = sizeof info};
  double preference[3];
  NEED_OK(bsoup_soup_set_bone_matrix(soup, 0.6));
  bsoup_blend_options_init(&options, sizeof options);
  options.preference = thirds;
  options.preference_count = 3;
  OK(bsoup_soup_solve(soup, &options, preference, NULL, &info));
  CHECK_NUMBERS(preference, 1.0 / 3, 1.0 / 3, 1.0 / 3);
  CHECK(info.adjustments == BSOUP_ADJUSTED_RENORMALIZED && info.fingerprint[0] == 0);
  options.preference = short_of;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "0.9", bsoup_soup_solve(soup, &options, NULL, NULL, NULL));
  bsoup_soup_free(soup);
}

static void names_defaults_and_presets(void) {
  static const char json[] = "{\"bonesoup\":1,\"base\":\"%s\",\"objectives\":["
                             "{\"name\":\"brief\",\"label\":\"Brief\",\"description\":\"fewer words\",\"default\":0.4,"
                             "\"max\":0.9,\"step\":0.05,\"floor\":-0.5,\"norm\":{\"mean\":-61.2,\"std\":18.4}},"
                             "{\"name\":\"happy\",\"default\":0.4}],"
                             "\"backbones\":[{\"path\":\"%s\"},{\"path\":\"%s\"}],"
                             "\"matrix\":{\"rule\":\"bone\",\"beta\":0.7},"
                             "\"guard\":{\"max_abs_coefficient\":3.0,\"on_violation\":\"clamp\"},"
                             "\"presets\":[{\"name\":\"Bedtime\",\"preference\":{\"brief\":0.2,\"happy\":0.8}}],"
                             "\"metadata\":{\"anything\":[1,2]}}";
  bsoup_named_value named[] = {{"happy", 0.8}, {"brief", 0.2}};
  bsoup_soup_info soup_info = {.struct_size = sizeof soup_info};
  bsoup_objective_info objective = {.struct_size = sizeof objective};
  bsoup_backbone_info backbone = {.struct_size = sizeof backbone};
  bsoup_blend_options options;
  bsoup_blend *preset = NULL, *same = NULL;
  bsoup_soup *soup;
  double preference[2];
  const char *called = NULL;
  write_text(scratch("soup.json"), name(json, fixture("models/llama3"), fixture("soups/llama3-full/backbones/0"),
                                        fixture("soups/llama3-full/backbones/1")));
  soup = open_soup(NULL, scratch("soup.json"));
  NEED_OK(bsoup_soup_get_info(soup, &soup_info));
  CHECK(soup_info.objective_count == 2 && soup_info.backbone_count == 2 && soup_info.preset_count == 1);
  CHECK(soup_info.vocabulary == 288 && soup_info.layers == 2 && soup_info.hidden == 32 && soup_info.heads == 4);
  CHECK(soup_info.kv_heads == 2 && soup_info.head_size == 8 && soup_info.context == 256 && soup_info.has_tokenizer);
  CHECK(soup_info.live == 0 && soup_info.weights == BSOUP_FORMAT_F32 && !strcmp(soup_info.model_type, "llama"));
  CHECK(soup_info.parameters == 24736 && soup_info.max_abs_coefficient == 3 && soup_info.on_violation == 1);
  CHECK_NEAR(soup_info.condition, 2.5, 1e-9); /* eigenvalues 1 and .4 */
  NEED_OK(bsoup_soup_objective(soup, 0, &objective));
  CHECK(!strcmp(objective.name, "brief") && !strcmp(objective.label, "Brief") && objective.maximum == 0.9);
  CHECK(!strcmp(objective.description, "fewer words") && objective.step == 0.05 && objective.floor == -0.5);
  CHECK(objective.norm_mean == -61.2 && objective.norm_std == 18.4);
  NEED_OK(bsoup_soup_objective(soup, 1, &objective));
  CHECK(!strcmp(objective.label, "happy") && !strcmp(objective.description, "") && isnan(objective.floor));
  CHECK(objective.minimum == 0 && objective.maximum == 1 && isnan(objective.norm_mean) && isnan(objective.norm_std));
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_objective(soup, 2, &objective));
  NEED_OK(bsoup_soup_backbone(soup, 1, &backbone));
  CHECK(!backbone.low_rank && backbone.parameters == 24736 && strstr(backbone.path, "backbones/1"));
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_backbone(soup, 2, &backbone));

  OK(bsoup_soup_preset(soup, 0, &called, preference, 2));
  CHECK(called && !strcmp(called, "Bedtime"));
  CHECK_NUMBERS(preference, 0.2, 0.8);
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_preset(soup, 1, &called, NULL, 0));
  OK(bsoup_soup_solve(soup, NULL, preference, NULL, NULL)); /* the defaults, which are renormalised */
  CHECK_NUMBERS(preference, 0.5, 0.5);

  bsoup_blend_options_init(&options, sizeof options);
  options.preset = "Bedtime";
  OK(bsoup_blend_create(soup, &options, &preset));
  options.preset = NULL;
  options.named = named;
  options.named_count = 2;
  OK(bsoup_blend_create(soup, &options, &same));
  OK(bsoup_blend_preference(preset, preference, 2));
  CHECK_NUMBERS(preference, 0.2, 0.8);
  CHECK(!strcmp(info_of_blend(preset).fingerprint, info_of_blend(same).fingerprint));
  named[0].name = "sad";
  FAILS_SAYING(BSOUP_NOT_FOUND, "sad", bsoup_soup_solve(soup, &options, NULL, NULL, NULL));
  named[0].name = "brief";
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "brief", bsoup_soup_solve(soup, &options, NULL, NULL, NULL)); /* twice */
  named[0].name = NULL;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_solve(soup, &options, NULL, NULL, NULL));
  options.named = NULL;
  options.named_count = 0;
  options.preset = "bedtime";
  FAILS_SAYING(BSOUP_NOT_FOUND, "bedtime", bsoup_soup_solve(soup, &options, NULL, NULL, NULL));
  bsoup_blend_free(preset);
  bsoup_blend_free(same);
  bsoup_soup_free(soup);
}

static void a_slider_moves_the_others(void) {
  bsoup_soup *soup = build(3, 3);
  double preference[] = {0.5, 0.3, 0.2}, one[] = {1, 0, 0};
  NEED_OK(bsoup_soup_set_bone_matrix(soup, 0.7));
  OK(bsoup_soup_move_slider(soup, preference, 3, 0, 0.2));
  CHECK_NUMBERS(preference, 0.2, 0.48, 0.32);
  OK(bsoup_soup_move_slider(soup, preference, 3, 2, 1));
  CHECK_NUMBERS(preference, 0, 0, 1);
  OK(bsoup_soup_move_slider(soup, one, 3, 0, 0.4));
  CHECK_NUMBERS(one, 0.4, 0.3, 0.3);
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_move_slider(soup, one, 3, 0, 1.5));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_move_slider(soup, one, 3, 0, -0.1));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_move_slider(soup, one, 3, 0, NAN));
  CHECK(bsoup_soup_move_slider(soup, one, 3, 3, 0.5) != BSOUP_OK);
  CHECK(bsoup_soup_move_slider(soup, one, 2, 0, 0.5) != BSOUP_OK);
  CHECK_NUMBERS(one, 0.4, 0.3, 0.3); /* untouched by what failed */
  one[1] = NAN;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_move_slider(soup, one, 3, 0, 0.5));
  bsoup_soup_free(soup);
}

static void solving_makes_nothing_and_foretells_the_blend(void) {
  static const double mixed[] = {0.7, 0.3};
  bsoup_soup *soup = open_soup(NULL, fixture("soups/llama3-full"));
  bsoup_blend_options options;
  bsoup_blend_info info = {.struct_size = sizeof info}, made;
  bsoup_blend *blend = NULL;
  double preference[2], coefficients[2], other[2];
  uint64_t before, after, foretold;
  bsoup_blend_options_init(&options, sizeof options);
  options.preference = mixed;
  options.preference_count = 2;
  OK(bsoup_engine_memory(NULL, &before));
  OK(bsoup_soup_solve(soup, &options, preference, coefficients, &info));
  OK(bsoup_soup_solve(soup, &options, NULL, NULL, NULL));
  OK(bsoup_blend_memory(soup, &options, &foretold));
  OK(bsoup_engine_memory(NULL, &after));
  CHECK(before == after);
  NEED_OK(bsoup_blend_create(soup, &options, &blend));
  OK(bsoup_engine_memory(NULL, &after));
  made = info_of_blend(blend);
  CHECK(foretold == after - before && info.memory == foretold && made.memory == foretold);
  CHECK(info.kind == made.kind && info.weights == made.weights && info.base_share == made.base_share);
  CHECK(info.condition == made.condition && made.objective_count == 2 && made.backbone_count == 2);
  CHECK(info.kind == BSOUP_BLEND_FOLDED && made.progress == 1 && made.state == BSOUP_OK);
  OK(bsoup_blend_coefficients(blend, other, 2));
  CHECK(!memcmp(coefficients, other, sizeof other));
  OK(bsoup_blend_preference(blend, other, 2));
  CHECK(!memcmp(preference, other, sizeof other) && !memcmp(preference, mixed, sizeof mixed));
  FAILS(BSOUP_MISMATCH, bsoup_blend_preference(blend, other, 1));
  FAILS(BSOUP_MISMATCH, bsoup_blend_coefficients(blend, other, 3));
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
}

int main(void) {
  check_time_limit();
  RUN(guard_rails_reject_or_clamp);
  RUN(coefficients_have_a_limit);
  RUN(an_empty_box_is_noticed_by_the_blend);
  RUN(preferences_are_renormalised_within_a_limit);
  RUN(names_defaults_and_presets);
  RUN(a_slider_moves_the_others);
  RUN(solving_makes_nothing_and_foretells_the_blend);
  return check_finish();
}
