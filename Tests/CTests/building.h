/* Soups built call by call, for the tests of preferences. */
#ifndef BUILDING_H
#define BUILDING_H

#include "model.h"

static inline bsoup_status add_objective(bsoup_soup *soup, const char *called, double minimum, double maximum) {
  bsoup_objective_options options;
  bsoup_objective_options_init(&options, sizeof options);
  options.name = called;
  options.minimum = minimum;
  options.maximum = maximum;
  return bsoup_soup_add_objective(soup, &options, NULL);
}

/* models/llama3 with `backbones` of the full backbones (more than 2: the first again) and `objectives` of three. */
static inline bsoup_soup *build(uint32_t backbones, uint32_t objectives) {
  static const char *const names[] = {"brief", "happy", "rich"};
  bsoup_soup *soup = open_soup(NULL, fixture("models/llama3"));
  uint32_t i, index = 99;
  for (i = 0; i < backbones; i++) {
    OK(bsoup_soup_add_backbone(soup, fixture(name("soups/llama3-full/backbones/%d", (int)i % 2)), NULL, &index));
    CHECK(index == i);
  }
  for (i = 0; i < objectives; i++)
    OK(add_objective(soup, names[i], 0, 1));
  return soup;
}

/* The status of solving for a preference, and its coefficients. */
static inline bsoup_status solve(bsoup_soup *soup, const double *preference, uint32_t count, double *coefficients) {
  bsoup_blend_options options;
  bsoup_blend_options_init(&options, sizeof options);
  options.preference = preference;
  options.preference_count = count;
  return bsoup_soup_solve(soup, &options, NULL, coefficients, NULL);
}

#define CHECK_NUMBERS(values, ...)                                                                                     \
  do {                                                                                                                 \
    static const double expected[] = {__VA_ARGS__};                                                                    \
    size_t number;                                                                                                     \
    for (number = 0; number < sizeof expected / sizeof *expected; number++)                                            \
      CHECK_NEAR((values)[number], expected[number], 1e-9);                                                            \
  } while (0)

#endif
