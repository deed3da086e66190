/* One session: forks, rewinds, and what happens to it while it is at work. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <pthread.h>

static int32_t *tokens; /* 64 of models/llama3 */
static size_t token_count;
static bsoup_soup *lora;

/* --- Forks and rewinds --- */

static void forks_share_and_part(void) {
  bsoup_blend *blend = default_blend(lora);
  bsoup_session *session = new_session(blend), *fork = NULL, *second = NULL;
  size_t count;
  float *whole = logits_of(blend, tokens, token_count, &count), *half, *got;
  half = logits_of(blend, tokens, 40, &count);
  OK(bsoup_session_append(session, tokens, 40));
  OK(decode_one(session));
  NEED_OK(bsoup_session_fork(session, &fork));
  got = copy_logits(fork, &count);
  CHECK(same_bits(half, got, count));
  free(got);
  CHECK(!strcmp(info_of_session(session).fingerprint, info_of_session(fork).fingerprint));
  CHECK(info_of_session(fork).token_count == 40 && info_of_session(fork).computed_count == 40);
  OK(bsoup_session_append(session, tokens, 24)); /* another continuation for the first */
  OK(decode_one(session));
  OK(bsoup_session_append(fork, tokens + 40, 12));
  NEED_OK(bsoup_session_fork(fork, &second)); /* with tokens pending */
  bsoup_session_free(fork);
  OK(bsoup_session_append(second, tokens + 52, token_count - 52));
  OK(decode_one(second));
  got = copy_logits(second, &count);
  CHECK(same_bits(whole, got, count));
  free(got);
  bsoup_session_free(session);
  bsoup_session_free(second);
  free(whole);
  free(half);
  bsoup_blend_free(blend);
}

static void a_rewind_leaves_no_trace(void) {
  static const size_t kept[] = {63, 40, 1, 0, 64};
  bsoup_blend *blend = default_blend(lora);
  size_t count, i;
  float *whole = logits_of(blend, tokens, token_count, &count), *again;
  bsoup_session *session = new_session(blend), *fork = NULL;
  const int32_t *text;
  OK(bsoup_session_append(session, tokens, token_count));
  OK(decode_one(session));
  NEED_OK(bsoup_session_fork(session, &fork));
  for (i = 0; i < sizeof kept / sizeof *kept; i++) {
    float *got;
    OK(bsoup_session_rewind(session, kept[i]));
    CHECK(info_of_session(session).token_count == kept[i]);
    CHECK(info_of_session(session).computed_count <= (kept[i] ? kept[i] - 1 : 0)); /* the last one is pending again */
    OK(bsoup_session_append(session, tokens + 5, 9));                              /* something else, and back */
    OK(decode_one(session));
    OK(bsoup_session_rewind(session, kept[i]));
    OK(bsoup_session_append(session, tokens + kept[i], token_count - kept[i]));
    OK(bsoup_session_tokens(session, &text, &count));
    CHECK(count == token_count && !memcmp(text, tokens, token_count * sizeof *tokens));
    OK(decode_one(session));
    got = copy_logits(session, &count);
    CHECK(same_bits(whole, got, count));
    free(got);
  }
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "65", bsoup_session_rewind(session, 65));
  free(whole);
  whole = copy_logits(fork, &count); /* the fork saw nothing of it */
  OK(bsoup_session_rewind(fork, 63));
  OK(bsoup_session_append(fork, tokens + 63, 1));
  OK(decode_one(fork));
  again = copy_logits(fork, &count);
  CHECK(same_bits(whole, again, count));
  free(again);
  free(whole);
  bsoup_session_free(session);
  bsoup_session_free(fork);
  bsoup_blend_free(blend);
}

/* --- A session at work --- */

typedef struct {
  bsoup_session *session, *other;
  int asked;
} worker;

/* Everything that uses the session is BUSY; everything else works. Returns whether it is so. */
static int session_is_busy(worker *at) {
  static const int32_t token = 5;
  bsoup_session_info info = {.struct_size = sizeof info};
  bsoup_step step = {.struct_size = sizeof step};
  bsoup_session *fork;
  const int32_t *text;
  const float *logits;
  size_t count;
  int busy =
      bsoup_session_append(at->session, &token, 1) == BSOUP_BUSY &&
      bsoup_session_append_text(at->session, "a", 1, 0, NULL, &count) == BSOUP_BUSY &&
      bsoup_session_rewind(at->session, 0) == BSOUP_BUSY && bsoup_session_fork(at->session, &fork) == BSOUP_BUSY &&
      fork == NULL && bsoup_session_get_info(at->session, &info) == BSOUP_BUSY &&
      bsoup_session_tokens(at->session, &text, &count) == BSOUP_BUSY &&
      bsoup_session_logits(at->session, -1, &logits, &count) == BSOUP_BUSY &&
      bsoup_session_begin(at->session, NULL) == BSOUP_BUSY && bsoup_session_next(at->session, &step) == BSOUP_BUSY &&
      bsoup_session_generate(at->session, "a", 1, NULL, NULL) == BSOUP_BUSY &&
      bsoup_decode(&at->session, 1, NULL) == BSOUP_BUSY && strlen(bsoup_last_error()) > 0;
  bsoup_session *both[2];
  both[0] = at->other;
  both[1] = at->session;
  busy = busy && bsoup_decode(both, 2, NULL) == BSOUP_BUSY;
  return busy && bsoup_session_get_info(at->other, &info) == BSOUP_OK && info.computed_count == 0 &&
         bsoup_decode(&at->other, 1, NULL) == BSOUP_OK && bsoup_session_rewind(at->other, 0) == BSOUP_OK &&
         bsoup_session_append(at->other, &token, 1) == BSOUP_OK;
}

static void *ask_from_another_thread(void *context) { return session_is_busy(context) ? context : NULL; }

static int32_t ask_in_text(const char *text, size_t size, void *context) {
  worker *at = context;
  pthread_t thread;
  void *busy = NULL;
  (void)text, (void)size;
  if (at->asked++ == 0) {
    CHECK(session_is_busy(at)); /* a callback that calls back in */
    CHECK(!pthread_create(&thread, NULL, ask_from_another_thread, at) && !pthread_join(thread, &busy) && busy);
  }
  return 0;
}

static int32_t ask_in_progress(double share, void *context) {
  (void)share;
  return ask_in_text("", 0, context);
}

static int32_t ask_in_hook(float *logits, size_t count, const int32_t *text, size_t text_count, void *context) {
  (void)logits, (void)count, (void)text, (void)text_count;
  return ask_in_text("", 0, context);
}

static void a_session_at_work_is_busy(void) {
  static const int32_t token = 5;
  bsoup_blend *blend = default_blend(lora);
  worker at = {new_session(blend), new_session(blend), 0};
  bsoup_generate_options how;
  bsoup_sampling_options sampling;
  bsoup_decode_options decode;
  OK(bsoup_session_append(at.other, &token, 1));
  bsoup_generate_options_init(&how, sizeof how);
  how.max_tokens = 6;
  how.ignore_end = 1;
  how.on_text = ask_in_text;
  how.text_context = &at;
  OK(bsoup_session_generate(at.session, "The soup", 8, &how, NULL));
  CHECK(at.asked > 0);
  at.asked = 0;
  how.on_text = NULL;
  how.prefill_progress = ask_in_progress;
  how.prefill_context = &at;
  OK(bsoup_session_generate(at.session, "The soup", 8, &how, NULL));
  CHECK(at.asked > 0);
  at.asked = 0;
  how.prefill_progress = NULL;
  bsoup_sampling_options_init(&sampling, sizeof sampling);
  sampling.hook = ask_in_hook;
  sampling.hook_context = &at;
  how.sampling = &sampling;
  OK(bsoup_session_generate(at.session, "The soup", 8, &how, NULL));
  CHECK(at.asked > 0);
  at.asked = 0;
  bsoup_decode_options_init(&decode, sizeof decode);
  decode.progress = ask_in_progress;
  decode.progress_context = &at;
  OK(bsoup_session_rewind(at.session, 10));
  OK(bsoup_decode(&at.session, 1, &decode));
  CHECK(at.asked > 0);
  bsoup_session_free(at.session);
  bsoup_session_free(at.other);
  bsoup_blend_free(blend);
}

static int32_t free_session(const char *text, size_t size, void *context) {
  (void)text, (void)size;
  bsoup_session_free(((worker *)context)->session);
  return 0;
}

static void a_session_freed_by_its_callback_ends_as_usual(void) {
  bsoup_blend *blend = default_blend(lora);
  worker at = {new_session(blend), NULL, 0};
  bsoup_generation *generation = NULL;
  bsoup_generate_options how;
  bsoup_generation_info info;
  bsoup_generate_options_init(&how, sizeof how);
  how.max_tokens = 6;
  how.ignore_end = 1;
  how.on_text = free_session;
  how.text_context = &at;
  NEED_OK(bsoup_session_generate(at.session, "The soup", 8, &how, &generation));
  info = result_of(generation);
  CHECK(info.token_count == 6);
  FAILS(BSOUP_STALE_HANDLE, bsoup_session_rewind(at.session, 0));
  bsoup_generation_free(generation);
  bsoup_blend_free(blend);
}

static const float *last_logits_of(bsoup_session *session) {
  const float *logits = NULL;
  size_t count = 0;
  OK(bsoup_session_logits(session, -1, &logits, &count));
  CHECK(count == 288);
  return logits;
}

static bsoup_session_info info_of(bsoup_session *session) {
  bsoup_session_info info;
  info.struct_size = sizeof info;
  OK(bsoup_session_get_info(session, &info));
  return info;
}

/* The base computes the prompt once; forks go on from it with a blend each, as the base's own sessions do by CONTINUE. */
static void one_prompt_serves_many_preferences(void) {
  static const double points[3][3] = {{1, 0, 0}, {0, 1, 0}, {0.2, 0.3, 0.5}}, none[3] = {0, 0, 0};
  bsoup_blend *base = blend_of_coefficients(lora, BSOUP_BLEND_LIVE, none, 3);
  bsoup_session *prompt, *hand, *fork = NULL;
  bsoup_generate_options how;
  size_t i, kind;
  bsoup_generate_options_init(&how, sizeof how);
  how.response_only = 1;
  how.ignore_end = 1;
  how.max_tokens = 8;
  for (kind = BSOUP_BLEND_FOLDED; kind <= BSOUP_BLEND_LIVE; kind++) {
    bsoup_blend *first = blend_of_coefficients(lora, (uint32_t)kind, points[0], 3);
    prompt = new_session(first);
    FAILS(BSOUP_NOT_READY, bsoup_session_begin(prompt, &how));
    OK(bsoup_session_append(prompt, tokens, 30));
    OK(bsoup_session_begin(prompt, &how));
    OK(decode_one(prompt));
    CHECK(info_of(prompt).response_start == 29);
    for (i = 0; i < 3; i++) {
      bsoup_blend *blend = blend_of_coefficients(lora, (uint32_t)kind, points[i], 3);
      bsoup_generation *answer = NULL, *expected = NULL;
      OK(bsoup_session_fork(prompt, &fork));
      OK(bsoup_session_set_blend(fork, blend, BSOUP_RECOMPUTE));
      CHECK(info_of(fork).computed_count >= 29);
      OK(decode_one(fork));
      hand = new_session(base);
      OK(bsoup_session_append(hand, tokens, 29));
      OK(decode_one(hand));
      OK(bsoup_session_set_blend(hand, blend, BSOUP_CONTINUE));
      OK(bsoup_session_append(hand, tokens + 29, 1));
      OK(decode_one(hand));
      CHECK(!memcmp(last_logits_of(fork), last_logits_of(hand), 288 * sizeof(float)));
      CHECK(!strcmp(info_of(fork).fingerprint, info_of(hand).fingerprint));
      OK(bsoup_session_generate(fork, NULL, 0, &how, &answer));
      how.response_only = 0;
      OK(bsoup_session_generate(hand, NULL, 0, &how, &expected));
      how.response_only = 1;
      CHECK(result_of(answer).token_count == 8 && result_of(expected).token_count == 8);
      CHECK(!memcmp(result_of(answer).tokens, result_of(expected).tokens, 8 * sizeof(int32_t)));
      bsoup_generation_free(answer);
      bsoup_generation_free(expected);
      bsoup_session_free(fork);
      bsoup_session_free(hand);
      bsoup_blend_free(blend);
    }
    bsoup_session_free(prompt);
    bsoup_blend_free(first);
  }
  bsoup_blend_free(base);
}

int main(void) {
  check_time_limit();
  tokens = read_tokens(fixture("models/llama3/expected.safetensors"), "tokens", &token_count);
  lora = open_soup(NULL, fixture("soups/llama3-lora"));
  RUN(forks_share_and_part);
  RUN(a_rewind_leaves_no_trace);
  RUN(a_session_at_work_is_busy);
  RUN(one_prompt_serves_many_preferences);
  RUN(a_session_freed_by_its_callback_ends_as_usual);
  bsoup_soup_free(lora);
  free(tokens);
  return check_finish();
}
