/* Handles that were freed, forged, or are of another kind: a status, never a crash. And out-parameters that are NULL. */
#include "check.h"
#include "files.h"
#include "model.h"

/* All calls that take a handle of a kind, with one that is none. */
static int wrong, calls;

static void stale(bsoup_status status, const char *call) {
  calls++;
  if (status != BSOUP_STALE_HANDLE || !*bsoup_last_error()) {
    wrong++;
    check_report(0, __FILE__, __LINE__, "%s: %s", call, bsoup_status_name(status));
  }
}
#define STALE(call) stale((call), #call)

static bsoup_soup *soup;
static bsoup_blend *blend;
static bsoup_session *session;

static void as_engine(void *handle) {
  uint64_t bytes = 1;
  bsoup_soup *made = soup;
  STALE(bsoup_engine_memory(handle, &bytes));
  CHECK(bytes == 0);
  STALE(bsoup_soup_open(handle, fixture("models/llama3"), NULL, &made));
  CHECK(made == NULL);
  bsoup_engine_free(handle);
}

static void as_soup(void *handle) {
  static const double numbers[4] = {1, 0, 0, 1};
  double room[4] = {0};
  char text[4];
  int32_t tokens[4];
  const int32_t *ends = tokens;
  const char *called = text;
  size_t count = 1;
  uint64_t bytes = 1;
  uint32_t index = 1;
  bsoup_blend *made = blend;
  bsoup_objective_options objective;
  bsoup_soup_info info = {.struct_size = sizeof info};
  bsoup_objective_info objective_info = {.struct_size = sizeof objective_info};
  bsoup_backbone_info backbone_info = {.struct_size = sizeof backbone_info};
  bsoup_objective_options_init(&objective, sizeof objective);
  objective.name = "brief";
  STALE(bsoup_soup_add_backbone(handle, fixture("models/llama3"), NULL, &index));
  STALE(bsoup_soup_add_objective(handle, &objective, &index));
  STALE(bsoup_soup_set_matrix(handle, numbers, 2, 2));
  STALE(bsoup_soup_set_bone_matrix(handle, 0.7));
  STALE(bsoup_soup_set_extrapolation(handle, numbers, 2));
  STALE(bsoup_soup_set_guard(handle, 1, 0));
  STALE(bsoup_blend_create(handle, NULL, &made));
  CHECK(made == NULL);
  STALE(bsoup_blend_memory(handle, NULL, &bytes));
  CHECK(bytes == 0);
  STALE(bsoup_soup_solve(handle, NULL, NULL, NULL, NULL));
  STALE(bsoup_soup_get_info(handle, &info));
  STALE(bsoup_soup_objective(handle, 0, &objective_info));
  STALE(bsoup_soup_backbone(handle, 0, &backbone_info));
  STALE(bsoup_soup_matrix(handle, room, 4));
  STALE(bsoup_soup_preset(handle, 0, &called, room, 2));
  STALE(bsoup_soup_move_slider(handle, room, 2, 0, 0.5));
  STALE(bsoup_soup_tokenize(handle, "a", 1, 0, NULL, tokens, 4, &count));
  CHECK(count == 0);
  STALE(bsoup_soup_detokenize(handle, tokens, 0, 0, text, 4, &count));
  STALE(bsoup_soup_token(handle, 0, text, 4, &count, NULL));
  STALE(bsoup_soup_end_tokens(handle, &ends, &count));
  bsoup_soup_free(handle);
}

static void as_blend(void *handle) {
  double room[4];
  uint64_t bytes = 1;
  bsoup_session *made = session;
  bsoup_generation *generation = (bsoup_generation *)1;
  bsoup_blend_info info = {.struct_size = sizeof info};
  STALE(bsoup_blend_wait(handle, 0));
  STALE(bsoup_blend_get_info(handle, &info));
  STALE(bsoup_blend_preference(handle, room, 3));
  STALE(bsoup_blend_coefficients(handle, room, 3));
  STALE(bsoup_generate(handle, "a", 1, NULL, &generation));
  CHECK(generation == NULL);
  STALE(bsoup_session_create(handle, NULL, &made));
  CHECK(made == NULL);
  STALE(bsoup_session_memory(handle, NULL, &bytes));
  STALE(bsoup_session_set_blend(session, handle, BSOUP_CONTINUE));
  bsoup_blend_free(handle);
}

static void as_session(void *handle) {
  static const int32_t token = 1;
  const int32_t *tokens = &token;
  const float *logits = (const float *)handle;
  size_t count = 1;
  bsoup_session *fork = session, *both[2];
  bsoup_generation *generation = (bsoup_generation *)1;
  bsoup_session_info info = {.struct_size = sizeof info};
  bsoup_step step = {.struct_size = sizeof step};
  bsoup_generation *texts[2];
  both[0] = session;
  both[1] = handle;
  STALE(bsoup_session_append(handle, &token, 1));
  STALE(bsoup_session_append_text(handle, "a", 1, 0, NULL, &count));
  STALE(bsoup_session_rewind(handle, 0));
  STALE(bsoup_session_fork(handle, &fork));
  CHECK(fork == NULL);
  STALE(bsoup_session_set_blend(handle, blend, BSOUP_CONTINUE));
  STALE(bsoup_session_get_info(handle, &info));
  STALE(bsoup_session_tokens(handle, &tokens, &count));
  CHECK(count == 0);
  STALE(bsoup_session_generate(handle, "a", 1, NULL, &generation));
  CHECK(generation == NULL);
  STALE(bsoup_decode(both, 2, NULL));
  STALE(bsoup_session_logits(handle, -1, &logits, &count));
  STALE(bsoup_session_begin(handle, NULL));
  STALE(bsoup_session_next(handle, &step));
  STALE(bsoup_generate_batch(both, 2, NULL, texts));
  CHECK(texts[0] == NULL && texts[1] == NULL);
  bsoup_session_free(handle);
}

static void as_generation(void *handle) {
  bsoup_generation_info info = {.struct_size = sizeof info};
  STALE(bsoup_generation_get_info(handle, &info));
  bsoup_generation_free(handle);
}

static void as_cancel(void *handle) {
  bsoup_open_options open;
  bsoup_blend_options how;
  bsoup_soup *made = soup;
  bsoup_blend *other = blend;
  bsoup_open_options_init(&open, sizeof open);
  bsoup_blend_options_init(&how, sizeof how);
  open.cancel = how.cancel = handle;
  STALE(bsoup_soup_open(NULL, fixture("models/llama3"), &open, &made));
  CHECK(made == NULL);
  how.kind = BSOUP_BLEND_FOLDED;
  STALE(bsoup_blend_create(soup, &how, &other));
  CHECK(other == NULL);
  bsoup_cancel_request(handle);
  bsoup_cancel_free(handle);
}

static void (*const kinds[])(void *handle) = {as_soup, as_blend, as_session, as_generation, as_cancel, as_engine};
enum { KINDS = 6 };

/* Every kind's calls with every other kind's handle: 30 pairs, and NULL where it is no default. */
static void mistyped_handles(void) {
  void *handles[KINDS];
  bsoup_generation *generation = NULL;
  bsoup_cancel *cancel = NULL;
  bsoup_engine *engine = NULL;
  bsoup_generate_options how;
  int kind, other;
  bsoup_generate_options_init(&how, sizeof how);
  how.max_tokens = 1;
  NEED_OK(bsoup_generate(blend, "a", 1, &how, &generation));
  NEED_OK(bsoup_cancel_create(&cancel));
  NEED_OK(bsoup_engine_create(NULL, &engine));
  handles[0] = soup, handles[1] = blend, handles[2] = session;
  handles[3] = generation, handles[4] = cancel, handles[5] = engine;
  for (kind = 0; kind < KINDS; kind++)
    for (other = 0; other < KINDS; other++)
      if (other != kind)
        kinds[kind](handles[other]);
  for (kind = 0; kind < 4; kind++)
    kinds[kind](NULL);
  CHECK(wrong == 0 && calls > 200);
  CHECK(result_of(generation).token_count == 1); /* they all still live */
  OK(decode_one(session));
  bsoup_generation_free(generation);
  bsoup_cancel_free(cancel);
  bsoup_engine_free(engine);
}

/* Numbers near a handle's, addresses, and anything. */
static void forged_handles(void) {
  uint64_t state = 88172645463325252u;
  uintptr_t known = (uintptr_t)session;
  int kind, i;
  for (kind = 0; kind < KINDS; kind++)
    for (i = 0; i < 300; i++) {
      uintptr_t forged;
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      switch (i % 5) {
      case 0:
        forged = (uintptr_t)state;
        break;
      case 1:
        forged = known ^ (uintptr_t)1 << (state & 63);
        break;
      case 2:
        forged = (uintptr_t)(state & 0xFFFF) + 1;
        break;
      case 3:
        forged = (uintptr_t)&state + (uintptr_t)i;
        break;
      default:
        forged = ~(uintptr_t)(state & 0xFF);
      }
      if (forged != (uintptr_t)soup && forged != (uintptr_t)blend && forged != known)
        kinds[kind]((void *)forged);
    }
  CHECK(wrong == 0);
  OK(decode_one(session));
}

/* A slot that was freed and is taken again does not wake the old handle. */
static void freed_handles(void) {
  bsoup_session *old = NULL;
  int i;
  for (i = 0; i < 1000; i++) {
    bsoup_session *next = new_session(blend);
    CHECK(next != old);
    if (old)
      FAILS(BSOUP_STALE_HANDLE, bsoup_session_rewind(old, 0));
    bsoup_session_free(old);
    bsoup_session_free(next);
    old = next;
  }
}

static void results_need_a_place(void) {
  uint64_t bytes;
  size_t count;
  const int32_t *tokens;
  const float *logits;
  const char *called;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_engine_create(NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_engine_memory(NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_cancel_create(NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_blend_create(soup, NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_blend_memory(soup, NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_blend_preference(blend, NULL, 3));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_blend_coefficients(blend, NULL, 3));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_create(blend, NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_memory(blend, NULL, NULL));
  OK(bsoup_session_memory(blend, NULL, &bytes));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_fork(session, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_tokens(session, NULL, &count));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_tokens(session, &tokens, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_logits(session, -1, NULL, &count));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_logits(session, -1, &logits, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_matrix(soup, NULL, 9));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_tokenize(soup, "a", 1, 0, NULL, NULL, 0, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_tokenize(soup, "a", 1, 0, NULL, NULL, 1, &count));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_detokenize(soup, NULL, 1, 0, NULL, 0, &count));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_end_tokens(soup, NULL, &count));
  CHECK(bsoup_soup_preset(soup, 0, &called, NULL, 0) == BSOUP_NOT_FOUND);
}

int main(void) {
  static const int32_t token = 5;
  check_time_limit();
  soup = open_soup(NULL, fixture("soups/llama3-lora"));
  blend = default_blend(soup);
  session = new_session(blend);
  OK(bsoup_session_append(session, &token, 1));
  RUN(mistyped_handles);
  RUN(forged_handles);
  RUN(freed_handles);
  RUN(results_need_a_place);
  bsoup_session_free(session);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  return check_finish();
}
