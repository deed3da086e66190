/* What the tests of bsoup_generate share: models/llama3, a prompt, options that each test finds as init leaves them. */
#ifndef GENERATING_H
#define GENERATING_H

#include "text.h"

static bsoup_soup *soup;
static bsoup_blend *blend;
static bsoup_generate_options how; /* as init leaves it, before each test */
static bsoup_sampling_options sampling;
static const char prompt[] = "The soup";
enum { PROMPT = sizeof prompt - 1 }; /* 3 tokens: BOS, "The", " soup" */

static inline bsoup_generation *generate(void) {
  bsoup_generation *generation = NULL;
  OK(bsoup_generate(blend, prompt, PROMPT, &how, &generation));
  return generation;
}

/* Generates what the text says, then `last` (−1: nothing in particular). */
static inline bsoup_generation *say(const char *text, int32_t last) {
  static int32_t tokens[256];
  static script lines;
  size_t count = 0;
  OK(bsoup_soup_tokenize(soup, text, strlen(text), 0, NULL, tokens, 255, &count));
  if (last >= 0)
    tokens[count++] = last;
  lines.tokens = tokens;
  lines.count = count;
  lines.at = 0;
  sampling.hook = dictate;
  sampling.hook_context = &lines;
  how.sampling = &sampling;
  if (how.max_tokens == 256)
    how.max_tokens = (uint32_t)count;
  return generate();
}

static inline int text_is(const bsoup_generation_info *info, const char *text) {
  return info->text_size == strlen(text) && !strcmp(info->text, text);
}

static inline void set_up(void) {
  check_time_limit();
  soup = open_soup(NULL, fixture("models/llama3"));
  blend = default_blend(soup);
}

static inline int tear_down(void) {
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  return check_finish();
}

#define GENERATE(test)                                                                                                 \
  do {                                                                                                                 \
    bsoup_generate_options_init(&how, sizeof how);                                                                     \
    bsoup_sampling_options_init(&sampling, sizeof sampling);                                                           \
    RUN(test);                                                                                                         \
  } while (0)

#endif
