/* Engines, soups, blends, sessions and generations come and go in any order; options, infos and errors. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <pthread.h>

/* --- Version, build, names --- */

static void versions_agree(void) {
  const char *line = bsoup_build_info();
  CHECK(bsoup_abi_version() == BSOUP_ABI_VERSION);
  CHECK(!strcmp(bsoup_version(), name("%d.%d.%d", BSOUP_VERSION_MAJOR, BSOUP_VERSION_MINOR, BSOUP_VERSION_PATCH)));
  CHECK(strstr(line, bsoup_version()) && !strchr(line, '\n'));
  CHECK(strstr(line, "baseline") || strstr(line, "avx2") || strstr(line, "avx512"));
  CHECK(bsoup_build_info() == line && !strcmp(bsoup_build_info(), line));
}

static void statuses_have_names(void) {
  static const char *const names[] = {"OK",           "INVALID_ARGUMENT", "OUT_OF_MEMORY", "NOT_FOUND",  "IO",
                                      "MALFORMED",    "UNSUPPORTED",      "MISMATCH",      "CANCELLED",  "BUSY",
                                      "CONTEXT_FULL", "STALE_HANDLE",     "GUARD_RAIL",    "UNSOLVABLE", "NOT_READY",
                                      "CHECKSUM",     "FORKED",           "INTERNAL"};
  static const bsoup_status unknown[] = {-1, BSOUP_INTERNAL + 1, INT32_MIN, INT32_MAX};
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++)
    CHECK(!strcmp(bsoup_status_name((bsoup_status)i), name("BSOUP_%s", names[i])));
  for (i = 0; i < sizeof unknown / sizeof *unknown; i++)
    CHECK(!strcmp(bsoup_status_name(unknown[i]), "unknown status"));
}

/* --- Errors --- */

static void *look_at_a_fresh_thread(void *fine) {
  bsoup_engine *engine = (bsoup_engine *)0x1234;
  *(int *)fine = !strcmp(bsoup_last_error(), "") && bsoup_blend_wait(NULL, 0) == BSOUP_STALE_HANDLE &&
                 strcmp(bsoup_last_error(), "") && bsoup_engine_memory(engine, NULL) != BSOUP_OK;
  return NULL;
}

static void each_thread_has_its_last_error(void) {
  char before[512];
  pthread_t thread;
  uint64_t bytes;
  int fine = 0;
  FAILS_SAYING(BSOUP_NOT_FOUND, "no-such-folder", bsoup_soup_open(NULL, "no-such-folder", NULL, &(bsoup_soup *){0}));
  snprintf(before, sizeof before, "%s", bsoup_last_error());
  NEED(!pthread_create(&thread, NULL, look_at_a_fresh_thread, &fine) && !pthread_join(thread, NULL));
  CHECK(fine);
  OK(bsoup_engine_memory(NULL, &bytes));
  CHECK(!strcmp(bsoup_last_error(), before)); /* a success does not touch it */
}

/* --- Frees --- */

static void frees_take_null(void) {
  bsoup_engine_free(NULL);
  bsoup_cancel_free(NULL);
  bsoup_cancel_request(NULL);
  bsoup_soup_free(NULL);
  bsoup_blend_free(NULL);
  bsoup_session_free(NULL);
  bsoup_generation_free(NULL);
}

typedef struct {
  bsoup_engine *engine;
  bsoup_soup *soup;
  bsoup_blend *blend;
  bsoup_session *session;
  bsoup_generation *generation;
  size_t bytes; /* that the engine's allocator has given out; threads change it atomically */
} family;

static void *count_in(size_t bytes, size_t alignment, void *context) {
  void *pointer = NULL;
  if (posix_memalign(&pointer, alignment < sizeof pointer ? sizeof pointer : alignment, bytes))
    return NULL;
  __atomic_add_fetch((size_t *)context, bytes, __ATOMIC_RELAXED);
  return pointer;
}

static void count_out(void *pointer, size_t bytes, void *context) {
  __atomic_sub_fetch((size_t *)context, bytes, __ATOMIC_RELAXED);
  free(pointer);
}

static int make_family(family *all) {
  bsoup_engine_options options;
  bsoup_generate_options how;
  memset(all, 0, sizeof *all);
  bsoup_engine_options_init(&options, sizeof options);
  options.thread_count = 2;
  options.allocate = count_in;
  options.deallocate = count_out;
  options.allocator_context = &all->bytes;
  bsoup_generate_options_init(&how, sizeof how);
  how.max_tokens = 4;
  how.ignore_end = 1;
  return OK(bsoup_engine_create(&options, &all->engine)) &&
         OK(bsoup_soup_open(all->engine, fixture("soups/llama3-lora"), NULL, &all->soup)) &&
         OK(bsoup_blend_create(all->soup, NULL, &all->blend)) &&
         OK(bsoup_session_create(all->blend, NULL, &all->session)) &&
         OK(bsoup_session_generate(all->session, "The soup", 8, &how, &all->generation));
}

static void free_member(family *all, int which) {
  switch (which) {
  case 0:
    bsoup_engine_free(all->engine);
    break;
  case 1:
    bsoup_soup_free(all->soup);
    break;
  case 2:
    bsoup_blend_free(all->blend);
    break;
  case 3:
    bsoup_session_free(all->session);
    break;
  default:
    bsoup_generation_free(all->generation);
  }
}

static void objects_are_freed_in_any_order(void) {
  family all;
  int order, position;
  for (order = 0; order < 120; order++) { /* all orders of five */
    int left[] = {0, 1, 2, 3, 4}, rest = order;
    NEED(make_family(&all));
    CHECK(all.bytes > 0);
    for (position = 5; position > 0; position--) {
      int pick = rest % position, which = left[pick];
      rest /= position;
      left[pick] = left[position - 1];
      free_member(&all, which);
      free_member(&all, which); /* a second time: nothing happens */
    }
    NEED(all.bytes == 0);
  }
}

static void what_is_left_goes_on(void) {
  family all;
  bsoup_generation_info info;
  bsoup_generation *more = NULL;
  NEED(make_family(&all));
  bsoup_engine_free(all.engine);
  bsoup_soup_free(all.soup);
  bsoup_blend_free(all.blend);
  OK(bsoup_session_generate(all.session, " and", 4, NULL, &more));
  bsoup_session_free(all.session);
  info = result_of(all.generation);
  CHECK(info.token_count == 4 && strlen(info.text) == info.text_size);
  bsoup_generation_free(all.generation);
  bsoup_generation_free(more);
  CHECK(all.bytes == 0);
}

static void freed_handles_are_stale(void) {
  family all;
  uint64_t bytes;
  bsoup_blend *blend;
  bsoup_session *session;
  bsoup_generation_info result = {.struct_size = sizeof result};
  NEED(make_family(&all));
  bsoup_generation_free(all.generation);
  FAILS(BSOUP_STALE_HANDLE, bsoup_generation_get_info(all.generation, &result));
  bsoup_session_free(all.session);
  FAILS(BSOUP_STALE_HANDLE, decode_one(all.session));
  FAILS(BSOUP_STALE_HANDLE, bsoup_session_rewind(all.session, 0));
  bsoup_blend_free(all.blend);
  FAILS(BSOUP_STALE_HANDLE, bsoup_session_create(all.blend, NULL, &session));
  CHECK(session == NULL);
  bsoup_soup_free(all.soup);
  FAILS(BSOUP_STALE_HANDLE, bsoup_blend_create(all.soup, NULL, &blend));
  CHECK(blend == NULL);
  bsoup_engine_free(all.engine);
  FAILS(BSOUP_STALE_HANDLE, bsoup_engine_memory(all.engine, &bytes));
  CHECK(bytes == 0);
}

/* --- Engines --- */

static void the_default_engine_serves_and_stays(void) {
  bsoup_soup *soup;
  uint64_t before, during, after;
  OK(bsoup_engine_memory(NULL, &before));
  soup = open_soup_as(NULL, fixture("models/llama3"), BSOUP_FORMAT_BF16); /* converted, so not mapped */
  OK(bsoup_engine_memory(NULL, &during));
  bsoup_engine_free(NULL);
  bsoup_soup_free(soup);
  OK(bsoup_engine_memory(NULL, &after));
  CHECK(during > before && after == before);
}

static void an_engine_takes_threads_and_processors(void) {
  static const uint32_t first[] = {0}, absurd[] = {4000000000u};
  bsoup_engine_options options;
  bsoup_engine *engine;
  uint32_t threads;
  for (threads = 1; threads <= 5; threads++) {
    bsoup_engine_options_init(&options, sizeof options);
    options.thread_count = threads;
    options.spin_microseconds = threads - 1;
    engine = NULL;
    OK(bsoup_engine_create(&options, &engine));
    bsoup_engine_free(engine);
  }
  bsoup_engine_options_init(&options, sizeof options);
  options.cpus = first;
  options.cpu_count = 1;
  OK(bsoup_engine_create(&options, &engine));
  bsoup_engine_free(engine);
  options.cpus = absurd;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "4000000000", bsoup_engine_create(&options, &engine));
  CHECK(engine == NULL);
  options.cpus = NULL;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_engine_create(&options, &engine));
  bsoup_engine_options_init(&options, sizeof options);
  options.allocate = count_in;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "deallocate", bsoup_engine_create(&options, &engine));
}

int main(void) {
  check_time_limit();
  RUN(versions_agree);
  RUN(statuses_have_names);
  RUN(each_thread_has_its_last_error);
  RUN(frees_take_null);
  RUN(objects_are_freed_in_any_order);
  RUN(what_is_left_goes_on);
  RUN(freed_handles_are_stale);
  RUN(the_default_engine_serves_and_stays);
  RUN(an_engine_takes_threads_and_processors);
  return check_finish();
}
