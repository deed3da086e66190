/* What ends a generation: end tokens, stop tokens and strings, callbacks and hooks. */
#include "check.h"
#include "files.h"
#include "generating.h"
#include "model.h"

enum { END = 285, OTHER_END = 287 }; /* of models/llama3 */

/* --- Stops --- */

static void end_tokens_end_the_text(void) {
  static const int32_t ends[] = {END, OTHER_END};
  bsoup_generation *generation;
  bsoup_generation_info info;
  const int32_t *listed = NULL;
  size_t count, i;
  OK(bsoup_soup_end_tokens(soup, &listed, &count));
  CHECK(count == 2 && ((listed[0] == END && listed[1] == OTHER_END) || (listed[1] == END && listed[0] == OTHER_END)));
  for (i = 0; i < 2; i++) {
    how.max_tokens = 20;
    generation = say("the soup was", ends[i]);
    info = result_of(generation);
    CHECK(info.finish == BSOUP_FINISH_END && text_is(&info, "the soup was"));
    CHECK(info.token_count < 20 && info.tokens[info.token_count - 1] == ends[i]);
    bsoup_generation_free(generation);
    how.ignore_end = 1;
    generation = say("the soup was", ends[i]);
    info = result_of(generation);
    CHECK(info.finish == BSOUP_FINISH_LENGTH && info.token_count == 20);
    bsoup_generation_free(generation);
    how.ignore_end = 0;
  }
}

static void stop_tokens_end_the_text(void) {
  static const int32_t stops[] = {7, 282};
  bsoup_generation *generation;
  bsoup_generation_info info;
  how.stop_tokens = stops;
  how.stop_token_count = 2;
  how.max_tokens = 20;
  generation = say("the soup was", 282);
  info = result_of(generation);
  CHECK(info.finish == BSOUP_FINISH_STOP_TOKEN && !strncmp(info.text, "the soup was", 12));
  CHECK(info.token_count < 20 && info.tokens[info.token_count - 1] == 282);
  bsoup_generation_free(generation);
}

static void stop_strings_end_the_text_before_the_first(void) {
  static const struct {
    const char *stops[3];
    uint32_t count;
    const char *says, *text;
    uint32_t finish;
  } rows[] = {
      {{" was"}, 1, "the soup was made", "the soup", BSOUP_FINISH_STOP_STRING},
      {{"p w"}, 1, "the soup was made", "the sou", BSOUP_FINISH_STOP_STRING}, /* across tokens */
      {{"up was mad"}, 1, "the soup was made", "the so", BSOUP_FINISH_STOP_STRING},
      {{"made", "was", "soup"}, 3, "the soup was made", "the ", BSOUP_FINISH_STOP_STRING}, /* the first in the text */
      {{"was not"}, 1, "the soup was made", "the soup was made", BSOUP_FINISH_LENGTH},     /* begun, not completed */
      {{"aab"}, 1, "xaaab", "xa", BSOUP_FINISH_STOP_STRING},                               /* overlaps itself */
      {{"\xF0\x9F\x8D\xB2"}, 1, "soup \xF0\x9F\x8D\xB2.", "soup ", BSOUP_FINISH_STOP_STRING},
      {{"the"}, 1, "the soup", "", BSOUP_FINISH_STOP_STRING},
      {{"made"}, 1, "the soup was mad", "the soup was mad", BSOUP_FINISH_LENGTH}, /* held back, let go at the end */
  };
  size_t i;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    collector all = {.size = 0};
    bsoup_generation *generation;
    bsoup_generation_info info;
    how.max_tokens = 256;
    how.stop_strings = rows[i].stops;
    how.stop_string_count = rows[i].count;
    how.on_text = collect;
    how.text_context = &all;
    generation = say(rows[i].says, -1);
    info = result_of(generation);
    CHECK(info.finish == rows[i].finish);
    if (!CHECK(text_is(&info, rows[i].text) && collected(&all, rows[i].text, strlen(rows[i].text))))
      printf("    row %d: \"%s\", streamed \"%.*s\"\n", (int)i, info.text, (int)all.size, all.text);
    bsoup_generation_free(generation);
  }
}

static void stops_have_limits(void) {
  static char longest[258];
  const char *stops[17];
  int32_t tokens[257] = {0};
  size_t i;
  memset(longest, 'x', 256);
  for (i = 0; i < 17; i++)
    stops[i] = longest;
  how.max_tokens = 2;
  how.stop_strings = stops;
  how.stop_string_count = 16;
  how.stop_tokens = tokens;
  how.stop_token_count = 256;
  OK(bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  how.stop_token_count = 257;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "257", bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  how.stop_token_count = 0;
  how.stop_string_count = 17;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "17", bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  how.stop_string_count = 1;
  longest[256] = 'x';
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "256", bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  stops[0] = "";
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  stops[0] = NULL;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_generate(blend, prompt, PROMPT, &how, NULL));
}

static void a_text_callback_can_stop(void) {
  collector all = {.stop_after = 3};
  bsoup_generation *generation;
  bsoup_generation_info info;
  how.on_text = collect;
  how.text_context = &all;
  generation = say("the cat was mad", -1);
  info = result_of(generation);
  CHECK(info.finish == BSOUP_FINISH_CALLBACK && all.pieces == 3 && info.token_count < how.max_tokens);
  CHECK(collected(&all, info.text, info.text_size));
  bsoup_generation_free(generation);
}

/* --- Hooks --- */

static int32_t forbid_all(float *logits, size_t count, const int32_t *tokens, size_t token_count, void *context) {
  (void)tokens, (void)token_count, (void)context;
  while (count > 0)
    logits[--count] = -INFINITY;
  return 0;
}

static int32_t spoil(float *logits, size_t count, const int32_t *tokens, size_t token_count, void *context) {
  (void)tokens, (void)token_count;
  logits[count / 2] = *(float *)context;
  return 0;
}

/* Ends the generation at its third step, and looks at the tokens on the way. */
static int32_t give_up_at_the_third(float *logits, size_t count, const int32_t *tokens, size_t token_count,
                                    void *context) {
  int *steps = context;
  CHECK(count == 288 && logits && tokens && token_count == 3 + (size_t)*steps && tokens[0] == 284);
  return ++*steps == 3;
}

static void a_hook_ends_or_fails_a_generation(void) {
  float wrong[] = {NAN, INFINITY};
  bsoup_generation *generation;
  bsoup_generation_info info;
  int steps = 0;
  size_t i;
  how.sampling = &sampling;
  how.ignore_end = 1;
  sampling.hook = forbid_all;
  generation = NULL;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "hook", bsoup_generate(blend, prompt, PROMPT, &how, &generation));
  info = result_of(generation);
  CHECK(info.finish == BSOUP_FINISH_ERROR && info.token_count == 0 && info.prefilled_tokens == 3);
  bsoup_generation_free(generation);
  sampling.hook = spoil;
  for (i = 0; i < 2; i++) {
    sampling.hook_context = &wrong[i];
    FAILS(BSOUP_INVALID_ARGUMENT, bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  }
  sampling.hook = give_up_at_the_third;
  sampling.hook_context = &steps;
  FAILS(BSOUP_CANCELLED, bsoup_generate(blend, prompt, PROMPT, &how, &generation));
  info = result_of(generation);
  CHECK(steps == 3 && info.finish == BSOUP_FINISH_CANCELLED && info.token_count == 2);
  bsoup_generation_free(generation);
}

int main(void) {
  set_up();
  GENERATE(end_tokens_end_the_text);
  GENERATE(stop_tokens_end_the_text);
  GENERATE(stop_strings_end_the_text_before_the_first);
  GENERATE(stops_have_limits);
  GENERATE(a_text_callback_can_stop);
  GENERATE(a_hook_ends_or_fails_a_generation);
  return tear_down();
}
