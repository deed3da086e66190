/* Folds: progress, cancelling, in the background with sessions going on meanwhile, freed while they go on. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

static int32_t *tokens; /* 64 of models/llama3 */
static size_t token_count;
static bsoup_soup *full, *base; /* base: models/llama3 itself */

/* --- Folds in the foreground --- */

typedef struct {
  double last;
  int calls, falls, stop_after;
} shares;

static int32_t note(double share, void *context) {
  shares *all = context;
  all->falls += !(share >= all->last && share <= 1);
  all->last = share;
  return ++all->calls == all->stop_after;
}

static void a_fold_reports_and_can_be_stopped(void) {
  static const double mixed[] = {0.5, 0.5};
  shares all = {.stop_after = 0};
  bsoup_blend_options options;
  bsoup_cancel *cancel = NULL;
  bsoup_blend *blend = NULL;
  uint64_t before, after;
  bsoup_blend_options_init(&options, sizeof options);
  options.coefficients = mixed;
  options.coefficient_count = 2;
  options.progress = note;
  options.progress_context = &all;
  NEED_OK(bsoup_blend_create(full, &options, &blend));
  CHECK(all.calls > 0 && all.falls == 0 && all.last == 1);
  bsoup_blend_free(blend);
  memset(&all, 0, sizeof all);
  all.stop_after = 1;
  OK(bsoup_engine_memory(NULL, &before));
  FAILS(BSOUP_CANCELLED, bsoup_blend_create(full, &options, &blend));
  CHECK(blend == NULL && all.calls == 1);
  options.progress = NULL;
  NEED_OK(bsoup_cancel_create(&cancel));
  options.cancel = cancel;
  OK(bsoup_blend_create(full, &options, &blend));
  bsoup_blend_free(blend);
  bsoup_cancel_request(cancel);
  FAILS(BSOUP_CANCELLED, bsoup_blend_create(full, &options, &blend));
  CHECK(blend == NULL);
  OK(bsoup_engine_memory(NULL, &after));
  CHECK(before == after);
  bsoup_cancel_free(cancel);
}

/* --- Folds in the background. A gate in the progress callback keeps one going as long as a test likes. --- */

typedef struct {
  sem_t open, entered;
  int calls, inside, answer;
} gate;

static int32_t wait_at_gate(double share, void *context) {
  gate *at = context;
  (void)share;
  __atomic_store_n(&at->inside, 1, __ATOMIC_SEQ_CST);
  if (__atomic_add_fetch(&at->calls, 1, __ATOMIC_SEQ_CST) == 1) {
    sem_post(&at->entered);
    while (sem_wait(&at->open)) {
    }
  }
  __atomic_store_n(&at->inside, 0, __ATOMIC_SEQ_CST);
  return at->answer;
}

static bsoup_blend *fold_behind(gate *at, bsoup_cancel *cancel) {
  static const double mixed[] = {-0.75, 1.75};
  bsoup_blend *blend = NULL;
  bsoup_blend_options options;
  memset(at, 0, sizeof *at);
  sem_init(&at->open, 0, 0);
  sem_init(&at->entered, 0, 0);
  bsoup_blend_options_init(&options, sizeof options);
  options.coefficients = mixed;
  options.coefficient_count = 2;
  options.background = 1;
  options.cancel = cancel;
  options.progress = wait_at_gate;
  options.progress_context = at;
  if (OK(bsoup_blend_create(full, &options, &blend)))
    while (sem_wait(&at->entered)) {
    }
  return blend;
}

static void a_fold_goes_on_behind(void) {
  static const double mixed[] = {-0.75, 1.75};
  gate at;
  bsoup_blend *blend, *same = blend_of_coefficients(full, BSOUP_BLEND_FOLDED, mixed, 2), *own = default_blend(base);
  bsoup_session *session = new_session(own), *none;
  bsoup_blend_info info;
  blend = fold_behind(&at, NULL);
  NEED(blend != NULL);
  info = info_of_blend(blend);
  CHECK(info.state == BSOUP_NOT_READY && info.progress >= 0 && info.progress < 1 && info.kind == BSOUP_BLEND_FOLDED);
  FAILS(BSOUP_NOT_READY, bsoup_blend_wait(blend, 0));
  FAILS(BSOUP_NOT_READY, bsoup_blend_wait(blend, 20));
  FAILS(BSOUP_NOT_READY, bsoup_session_create(blend, NULL, &none));
  CHECK(none == NULL);
  OK(bsoup_session_append(session, tokens, token_count)); /* others go on meanwhile */
  OK(decode_one(session));
  FAILS(BSOUP_NOT_READY, bsoup_generate(blend, "as", 2, NULL, NULL));
  sem_post(&at.open);
  OK(bsoup_blend_wait(blend, UINT32_MAX));
  OK(bsoup_blend_wait(blend, 0));
  info = info_of_blend(blend);
  CHECK(info.state == BSOUP_OK && info.progress == 1 && at.calls > 0);
  CHECK(!strcmp(info.fingerprint, info_of_blend(same).fingerprint));
  CHECK(blends_agree(blend, same, tokens, token_count));
  bsoup_session_free(session);
  bsoup_blend_free(blend);
  bsoup_blend_free(same);
  bsoup_blend_free(own);
}

static void a_fold_behind_can_be_cancelled(void) {
  gate at;
  int by_token;
  uint64_t before, after;
  for (by_token = 0; by_token < 2; by_token++) {
    bsoup_cancel *cancel = NULL;
    bsoup_blend *blend;
    bsoup_session *none;
    NEED_OK(bsoup_cancel_create(&cancel));
    OK(bsoup_engine_memory(NULL, &before));
    blend = fold_behind(&at, cancel);
    if (by_token)
      bsoup_cancel_request(cancel);
    else
      at.answer = 1;
    sem_post(&at.open);
    FAILS(BSOUP_CANCELLED, bsoup_blend_wait(blend, UINT32_MAX));
    FAILS(BSOUP_CANCELLED, bsoup_blend_wait(blend, 0));
    FAILS(BSOUP_CANCELLED, bsoup_session_create(blend, NULL, &none));
    CHECK(info_of_blend(blend).state == BSOUP_CANCELLED);
    OK(bsoup_engine_memory(NULL, &after));
    CHECK(before == after);
    bsoup_blend_free(blend);
    bsoup_cancel_free(cancel);
  }
}

static void *open_later(void *context) {
  static const struct timespec pause = {0, 50000000};
  nanosleep(&pause, NULL);
  sem_post(&((gate *)context)->open);
  return NULL;
}

static void the_free_of_a_fold_waits_for_its_callback(void) {
  static const struct timespec pause = {0, 20000000};
  gate at;
  pthread_t thread;
  int calls;
  bsoup_blend *blend = fold_behind(&at, NULL);
  NEED(blend && !pthread_create(&thread, NULL, open_later, &at));
  bsoup_blend_free(blend);
  CHECK(!at.inside);
  calls = at.calls;
  pthread_join(thread, NULL);
  nanosleep(&pause, NULL);
  CHECK(at.calls == calls && !at.inside);
}

static bsoup_blend *freed_inside;

static int32_t free_inside(double share, void *context) {
  bsoup_blend *blend;
  (void)share;
  while (!(blend = __atomic_load_n(&freed_inside, __ATOMIC_SEQ_CST))) {
  }
  bsoup_blend_free(blend);
  sem_post(context);
  return 0;
}

static void a_fold_can_be_freed_by_its_own_callback(void) {
  static const double mixed[] = {0.5, 0.5};
  uint64_t before, after = 0;
  sem_t done;
  bsoup_blend *blend = NULL;
  bsoup_blend_options options;
  int waits;
  sem_init(&done, 0, 0);
  OK(bsoup_engine_memory(NULL, &before));
  bsoup_blend_options_init(&options, sizeof options);
  options.coefficients = mixed;
  options.coefficient_count = 2;
  options.background = 1;
  options.progress = free_inside;
  options.progress_context = &done;
  NEED_OK(bsoup_blend_create(full, &options, &blend));
  __atomic_store_n(&freed_inside, blend, __ATOMIC_SEQ_CST);
  while (sem_wait(&done)) {
  }
  for (waits = 0; waits < 200; waits++) { /* it stops within 50 ms */
    static const struct timespec pause = {0, 5000000};
    OK(bsoup_engine_memory(NULL, &after));
    if (after == before)
      break;
    nanosleep(&pause, NULL);
  }
  CHECK(after == before);
}

static void a_session_moves_to_a_fold_when_it_is_ready(void) {
  gate at;
  bsoup_blend *first = default_blend(full), *behind = fold_behind(&at, NULL);
  bsoup_session *session = new_session(first);
  FAILS(BSOUP_NOT_READY, bsoup_session_set_blend(session, behind, BSOUP_RECOMPUTE));
  FAILS(BSOUP_NOT_READY, bsoup_session_set_blend(session, behind, BSOUP_CONTINUE));
  sem_post(&at.open);
  OK(bsoup_blend_wait(behind, UINT32_MAX));
  OK(bsoup_session_set_blend(session, behind, BSOUP_RECOMPUTE));
  OK(bsoup_session_append(session, tokens, 3));
  OK(decode_one(session));
  bsoup_session_free(session);
  bsoup_blend_free(first);
  bsoup_blend_free(behind);
}

int main(void) {
  check_time_limit();
  tokens = read_tokens(fixture("models/llama3/expected.safetensors"), "tokens", &token_count);
  full = open_soup(NULL, fixture("soups/llama3-full"));
  base = open_soup(NULL, fixture("models/llama3"));
  RUN(a_fold_reports_and_can_be_stopped);
  RUN(a_fold_goes_on_behind);
  RUN(a_fold_behind_can_be_cancelled);
  RUN(the_free_of_a_fold_waits_for_its_callback);
  RUN(a_fold_can_be_freed_by_its_own_callback);
  RUN(a_session_moves_to_a_fold_when_it_is_ready);
  bsoup_soup_free(full);
  bsoup_soup_free(base);
  free(tokens);
  return check_finish();
}
