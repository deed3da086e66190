/* Threads that do anything to anything at once: handles are shared, freed and replaced under each other's hands. Each
 * call has a status that fits, nothing crashes or hangs, and at the end all memory is back. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <pthread.h>

enum { THREADS = 6, ROUNDS = 4000, SLOTS = 8 };

static bsoup_engine *engine;
static bsoup_soup *soups[2];
static bsoup_blend *blends[SLOTS];
static bsoup_session *sessions[SLOTS];
static int unexpected, tokens_made;

/* Statuses that others' work may bring about. */
static int fits(bsoup_status status) {
  static const bsoup_status good[] = {BSOUP_OK,        BSOUP_STALE_HANDLE,     BSOUP_BUSY,     BSOUP_NOT_READY,
                                      BSOUP_CANCELLED, BSOUP_INVALID_ARGUMENT, BSOUP_MISMATCH, BSOUP_CONTEXT_FULL};
  size_t i;
  for (i = 0; i < sizeof good / sizeof *good; i++)
    if (status == good[i])
      return 1;
  return 0;
}

static void expect(bsoup_status status, int line) {
  if (fits(status))
    return;
  __atomic_add_fetch(&unexpected, 1, __ATOMIC_RELAXED);
  check_report(0, __FILE__, line, "%s: %s", bsoup_status_name(status), bsoup_last_error());
}
#define EXPECT(call) expect((call), __LINE__)

static int32_t count_text(const char *text, size_t size, void *context) {
  (void)text, (void)size, (void)context;
  __atomic_add_fetch(&tokens_made, 1, __ATOMIC_RELAXED);
  return 0;
}

static int32_t go_on(double share, void *context) {
  (void)share, (void)context;
  return 0;
}

static void make_blend(unsigned slot, unsigned random) {
  double preference[3] = {(random & 255) / 255.0, 0, 0};
  bsoup_blend_options how;
  bsoup_blend *made = NULL;
  preference[1] = 1 - preference[0];
  bsoup_blend_options_init(&how, sizeof how);
  how.preference = preference;
  how.preference_count = 3;
  how.kind = random >> 8 & 1 ? BSOUP_BLEND_LIVE : BSOUP_BLEND_FOLDED;
  how.background = random >> 9 & 1;
  how.progress = go_on;
  EXPECT(bsoup_blend_create(soups[random >> 10 & 1], &how, &made));
  bsoup_blend_free(__atomic_exchange_n(&blends[slot], made, __ATOMIC_ACQ_REL));
}

static void use_session(bsoup_session *session, bsoup_session *other, bsoup_blend *blend, unsigned random) {
  int32_t tokens[3] = {(int32_t)(random & 127), 5, 7};
  bsoup_session *both[2], *fork = NULL;
  bsoup_session_info info = {.struct_size = sizeof info};
  bsoup_generate_options how;
  both[0] = session;
  both[1] = other;
  switch (random >> 8 & 7) {
  case 0:
  case 1:
    EXPECT(bsoup_session_append(session, tokens, 1 + random % 3));
    break;
  case 2:
  case 3:
    EXPECT(bsoup_decode(both, 1 + (session != other), NULL));
    break;
  case 4:
    EXPECT(bsoup_session_set_blend(session, blend, random >> 12 & 1));
    break;
  case 5:
    EXPECT(bsoup_session_rewind(session, random >> 12 & 7));
    break;
  case 6:
    EXPECT(bsoup_session_fork(session, &fork));
    EXPECT(fork ? bsoup_session_get_info(fork, &info) : BSOUP_OK);
    bsoup_session_free(fork);
    break;
  default:
    bsoup_generate_options_init(&how, sizeof how);
    how.max_tokens = 3;
    how.on_text = count_text;
    EXPECT(bsoup_session_generate(session, "as", 2, &how, NULL));
  }
}

static void *do_anything(void *context) {
  uint64_t state = 1 + (uintptr_t)context * 7919;
  int round;
  for (round = 0; round < ROUNDS; round++) {
    bsoup_blend_info info = {.struct_size = sizeof info};
    bsoup_session *made = NULL, *session;
    bsoup_blend *blend;
    unsigned random, slot;
    state = state * 6364136223846793005u + 1442695040888963407u;
    random = (unsigned)(state >> 33);
    slot = random % SLOTS;
    blend = __atomic_load_n(&blends[random >> 4 & (SLOTS - 1)], __ATOMIC_ACQUIRE);
    session = __atomic_load_n(&sessions[slot], __ATOMIC_ACQUIRE);
    random = (unsigned)(state >> 17);
    switch (state >> 60) {
    case 0:
    case 1:
      make_blend(slot, random);
      break;
    case 2:
      EXPECT(bsoup_blend_wait(blend, random & 1));
      break;
    case 3:
      EXPECT(bsoup_blend_get_info(blend, &info));
      break;
    case 4:
    case 5:
      EXPECT(bsoup_session_create(blend, NULL, &made));
      if (made)
        bsoup_session_free(__atomic_exchange_n(&sessions[slot], made, __ATOMIC_ACQ_REL));
      break;
    case 6:
      bsoup_session_free(session);
      break;
    case 7:
      bsoup_blend_free(blend);
      break;
    default:
      use_session(session, __atomic_load_n(&sessions[random % SLOTS], __ATOMIC_ACQUIRE), blend, random);
    }
  }
  return NULL;
}

static void threads_do_anything(void) {
  pthread_t threads[THREADS];
  bsoup_engine_options options;
  uint64_t bytes = 1;
  int i;
  bsoup_engine_options_init(&options, sizeof options);
  options.thread_count = 2;
  NEED_OK(bsoup_engine_create(&options, &engine));
  for (i = 0; i < 2; i++)
    soups[i] = open_soup(engine, fixture("soups/llama3-lora"));
  for (i = 0; i < SLOTS; i++) {
    make_blend((unsigned)i, 256u * (unsigned)i);
    if (blends[i] && !bsoup_blend_wait(blends[i], UINT32_MAX))
      sessions[i] = new_session(blends[i]);
  }
  for (i = 0; i < THREADS; i++)
    NEED(!pthread_create(&threads[i], NULL, do_anything, (void *)(uintptr_t)i));
  for (i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  CHECK(unexpected == 0 && tokens_made > 0);
  for (i = 0; i < SLOTS; i++) {
    bsoup_session_free(sessions[i]);
    bsoup_blend_free(blends[i]);
  }
  bsoup_soup_free(soups[0]);
  bsoup_soup_free(soups[1]);
  OK(bsoup_engine_memory(engine, &bytes));
  CHECK(bytes == 0);
  bsoup_engine_free(engine);
}

/* Two threads that cancel, and free, what a third one is making. */
static void *cancel_at_once(void *context) {
  bsoup_cancel_request(context);
  return NULL;
}

static void cancels_and_frees_race_with_folds(void) {
  bsoup_soup *soup = open_soup(NULL, fixture("soups/llama3-full"));
  uint64_t before, after;
  int i;
  OK(bsoup_engine_memory(NULL, &before));
  for (i = 0; i < 200; i++) {
    bsoup_cancel *cancel = NULL;
    bsoup_blend *blend = NULL;
    bsoup_blend_options how;
    bsoup_status status;
    pthread_t thread;
    NEED_OK(bsoup_cancel_create(&cancel));
    bsoup_blend_options_init(&how, sizeof how);
    how.background = 1;
    how.cancel = cancel;
    how.progress = go_on;
    NEED(!pthread_create(&thread, NULL, cancel_at_once, cancel));
    status = bsoup_blend_create(soup, &how, &blend);
    if (status == BSOUP_OK && i % 2)
      status = bsoup_blend_wait(blend, UINT32_MAX);
    CHECK(status == BSOUP_OK || status == BSOUP_CANCELLED);
    bsoup_blend_free(blend);
    pthread_join(thread, NULL);
    bsoup_cancel_free(cancel);
  }
  OK(bsoup_engine_memory(NULL, &after));
  CHECK(before == after);
  bsoup_soup_free(soup);
}

/* A soup that grows in one thread while others make blends of it. */
static void *grow(void *context) {
  int i;
  for (i = 0; i < 30; i++)
    EXPECT(bsoup_soup_add_backbone(context, fixture("models/llama3/adapters/plain"), NULL, NULL));
  return NULL;
}

static void *blend_along(void *context) {
  int i;
  for (i = 0; i < 200; i++) {
    bsoup_soup_info info = {.struct_size = sizeof info};
    double coefficients[64] = {0.5};
    bsoup_blend_options how;
    bsoup_blend *blend = NULL;
    EXPECT(bsoup_soup_get_info(context, &info));
    bsoup_blend_options_init(&how, sizeof how);
    how.coefficients = coefficients;
    how.coefficient_count = info.backbone_count;
    EXPECT(bsoup_blend_create(context, &how, &blend)); /* MISMATCH where it grew in between */
    bsoup_blend_free(blend);
  }
  return NULL;
}

static void a_soup_grows_while_blends_are_made(void) {
  bsoup_soup *soup = open_soup(NULL, fixture("models/llama3"));
  bsoup_soup_info info = {.struct_size = sizeof info};
  pthread_t threads[4];
  int i;
  unexpected = 0;
  for (i = 0; i < 4; i++)
    NEED(!pthread_create(&threads[i], NULL, i < 2 ? grow : blend_along, soup));
  for (i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  OK(bsoup_soup_get_info(soup, &info));
  CHECK(unexpected == 0 && info.backbone_count == 60);
  bsoup_soup_free(soup);
}

int main(void) {
  check_time_limit();
  RUN(threads_do_anything);
  RUN(cancels_and_frees_race_with_folds);
  RUN(a_soup_grows_while_blends_are_made);
  return check_finish();
}
