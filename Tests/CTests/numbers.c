/* The host's rounding mode, flush-to-zero, trapping exceptions and locale: none changes a result, none is changed. */
#include "check.h"
#include "files.h"
#include "model.h"
#include "text.h"
#include <fenv.h>
#include <locale.h>
#if defined __SSE__
#include <xmmintrin.h>
#endif

static unsigned control(void) {
#if defined __SSE__
  return _mm_getcsr() & ~_MM_EXCEPT_MASK; /* without the flags that say what happened */
#else
  return (unsigned)fegetround();
#endif
}

static void set_flush_to_zero(void) {
#if defined __SSE__
  _mm_setcsr(_mm_getcsr() | _MM_FLUSH_ZERO_ON | 0x40 /* denormals are zero */);
#endif
}

/* What a callback finds. */
typedef struct {
  unsigned expected;
  int calls, different;
} witness;

static int32_t see_control(double share, void *context) {
  witness *seen = context;
  (void)share;
  seen->calls++;
  seen->different += control() != seen->expected;
  return 0;
}

static int32_t see_control_in_text(const char *text, size_t size, void *context) {
  (void)text, (void)size;
  return see_control(0, context);
}

static int32_t see_control_in_hook(float *logits, size_t count, const int32_t *tokens, size_t token_count,
                                   void *context) {
  (void)logits, (void)count, (void)tokens, (void)token_count;
  return see_control(0, context);
}

/* A model folder whose weights come through read_at. */
typedef struct {
  contents file;
  witness *seen;
} reader;

static int32_t see_control_in_read(void *context, uint64_t offset, void *destination, size_t size) {
  reader *from = context;
  memcpy(destination, from->file.data + offset, size);
  return see_control(0, from->seen);
}

static void open_through_read_at(witness *seen) {
  contents config = read_file(fixture("models/llama3/config.json"));
  reader from = {read_file(fixture("models/llama3/model.safetensors")), seen};
  bsoup_file files[] = {{"m/config.json", config.size, config.data, NULL, NULL},
                        {"m/model.safetensors", from.file.size, NULL, see_control_in_read, &from}};
  bsoup_open_options open;
  bsoup_soup *soup = NULL;
  int calls = seen->calls;
  bsoup_open_options_init(&open, sizeof open);
  open.files = files;
  open.file_count = 2;
  OK(bsoup_soup_open(NULL, "m", &open, &soup));
  CHECK(seen->calls > calls);
  bsoup_soup_free(soup);
  free(config.data);
  free(from.file.data);
}

typedef struct {
  double coefficients[2];
  float folded[288], live[288];
  int32_t tokens[30];
  float logprobs[30];
} results;

/* Opens, solves, folds, decodes and samples, in whatever mode the thread is. */
static void use_the_library(results *out, witness *seen) {
  static const double preference[] = {0.7, 0.3}, low[] = {0.3, -0.7, 1.1};
  bsoup_open_options open;
  bsoup_generate_options how;
  bsoup_sampling_options sampling;
  bsoup_soup *full = NULL, *lora = NULL;
  bsoup_blend *folded, *live;
  bsoup_generation *generation = NULL;
  bsoup_generation_info info;
  int32_t tokens[48];
  float *logits;
  size_t count, i;
  memset(out, 0, sizeof *out);
  for (i = 0; i < 48; i++)
    tokens[i] = (int32_t)(i * 37 % 284);
  open_through_read_at(seen);
  bsoup_open_options_init(&open, sizeof open);
  open.verify = BSOUP_VERIFY_FINITE;
  open.progress = see_control;
  open.progress_context = seen;
  OK(bsoup_soup_open(NULL, fixture("soups/llama3-full"), &open, &full));
  OK(bsoup_soup_open(NULL, fixture("soups/llama3-lora"), &open, &lora));
  folded = blend_of_preference(full, BSOUP_BLEND_FOLDED, preference, 2);
  live = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, low, 3);
  OK(bsoup_blend_coefficients(folded, out->coefficients, 2));
  if ((logits = logits_of(folded, tokens, 48, &count)) && CHECK(count == 288))
    memcpy(out->folded, logits, sizeof out->folded);
  free(logits);
  if ((logits = logits_of(live, tokens, 48, &count)) && CHECK(count == 288))
    memcpy(out->live, logits, sizeof out->live);
  free(logits);
  bsoup_generate_options_init(&how, sizeof how);
  bsoup_sampling_options_init(&sampling, sizeof sampling);
  sampling.temperature = 0.8f;
  sampling.top_p = 0.9f;
  sampling.repetition_penalty = 1.1f;
  sampling.seed = 1;
  sampling.hook = see_control_in_hook;
  sampling.hook_context = seen;
  how.sampling = &sampling;
  how.max_tokens = 30;
  how.ignore_end = 1;
  how.on_text = see_control_in_text;
  how.text_context = seen;
  OK(bsoup_generate(live, "The soup", 8, &how, &generation));
  info = result_of(generation);
  if (CHECK(info.token_count == 30)) {
    memcpy(out->tokens, info.tokens, sizeof out->tokens);
    memcpy(out->logprobs, info.logprobs, sizeof out->logprobs);
  }
  bsoup_generation_free(generation);
  bsoup_blend_free(folded);
  bsoup_blend_free(live);
  bsoup_soup_free(full);
  bsoup_soup_free(lora);
}

static results usual;

static void the_usual_results_are_sound(void) {
  witness seen = {control(), 0, 0};
  use_the_library(&usual, &seen);
  CHECK_NEAR(usual.coefficients[0], 0, 1e-9);
  CHECK_NEAR(usual.coefficients[1], 1, 1e-9);
  CHECK(seen.calls > 0 && !seen.different);
}

static void check_mode(void) {
  results got;
  fenv_t before, after;
  witness seen = {control(), 0, 0};
  fegetenv(&before);
  use_the_library(&got, &seen);
  fegetenv(&after);
  CHECK(seen.calls > 0 && !seen.different && control() == seen.expected);
#if defined __x86_64__
  CHECK(before.__control_word == after.__control_word);
#endif
  fesetenv(FE_DFL_ENV);
  CHECK(!memcmp(&got, &usual, sizeof got));
}

static void rounding_modes_change_nothing(void) {
  static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
  size_t i;
  for (i = 0; i < 3; i++) {
    NEED(!fesetround(modes[i]));
    check_mode();
  }
}

static void flush_to_zero_changes_nothing(void) {
  set_flush_to_zero();
  check_mode();
}

/* A host that lets exceptions trap, as scientific programs do: an inexact sum would kill it. */
static void trapping_exceptions_do_not_trap(void) {
  feclearexcept(FE_ALL_EXCEPT);
  feenableexcept(FE_INEXACT | FE_OVERFLOW | FE_UNDERFLOW | FE_INVALID | FE_DIVBYZERO);
  check_mode();
}

/* A locale whose decimal point is a comma, made on the spot in glibc's format: machines need not have one. */
static void write_comma_locale(const char *path) {
  struct {
    uint32_t magic, count, offsets[6];
    char text[8];     /* decimal point, thousands separator, grouping */
    uint32_t wide[2]; /* the first two as characters */
    char character_set[8];
  } file = {0x20031115u ^ (uint32_t)LC_NUMERIC, 6,          {32, 34, 36, 40, 44, 48},
            {',', 0, '.', 0, 3, 3, 0},          {',', '.'}, "UTF-8"};
  write_file(path, &file, sizeof file);
}

static void a_locale_changes_nothing(void) {
  results got;
  witness seen = {control(), 0, 0};
  bsoup_soup *soup;
  char text[8];
  scratch("");
  NEED(!mkdir(scratch("comma"), 0700));
  write_comma_locale(scratch("comma/LC_NUMERIC"));
  setenv("LOCPATH", scratch(""), 1);
  NEED(setlocale(LC_NUMERIC, "comma") != NULL);
  snprintf(text, sizeof text, "%.1f", 1.5);
  NEED(!strcmp(text, "1,5"));
  use_the_library(&got, &seen);
  CHECK(!memcmp(&got, &usual, sizeof got));
  soup = open_soup(NULL, fixture("soups/llama3-full"));
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "-1.5", bsoup_soup_set_guard(soup, -1.5, 0)); /* a message's numbers, too */
  bsoup_soup_free(soup);
  snprintf(text, sizeof text, "%.1f", 1.5);
  CHECK(!strcmp(text, "1,5"));
  setlocale(LC_ALL, "C");
}

int main(void) {
  check_time_limit();
  RUN(the_usual_results_are_sound);
  RUN(rounding_modes_change_nothing);
  RUN(flush_to_zero_changes_nothing);
  RUN(trapping_exceptions_do_not_trap);
  RUN(a_locale_changes_nothing);
  return check_finish();
}
