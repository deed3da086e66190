/* Cancelling long work from callbacks, threads and signal handlers; and forked processes. */
#include "check.h"
#include "files.h"
#include "model.h"
#include "text.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* --- Forks. The first test runs before anything else uses the library. --- */

/* Runs `work` in a forked child, whose answer is 0 for good. */
static int in_child(int (*work)(void)) {
  int status = -1;
  pid_t child;
  fflush(stdout);
  child = fork();
  if (child == 0) {
    alarm(60);
    _exit(work());
  }
  if (child < 0 || waitpid(child, &status, 0) != child)
    return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int generate_some(void) {
  bsoup_soup *soup = NULL;
  bsoup_blend *blend = NULL;
  bsoup_generate_options how;
  int bad;
  bsoup_generate_options_init(&how, sizeof how);
  how.max_tokens = 3;
  bad = bsoup_soup_open(NULL, fixture("models/llama3"), NULL, &soup) || bsoup_blend_create(soup, NULL, &blend) ||
        bsoup_generate(blend, "The soup", 8, &how, NULL);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  return bad;
}

static void a_child_forked_before_first_use_may_use_it(void) { CHECK(in_child(generate_some) == 0); }

static const char long_prompt[200] = "a long prompt"; /* and NULs, which are text too */
static bsoup_soup *soup;
static bsoup_blend *blend;
static bsoup_session *session;
static bsoup_generation *generation;
static bsoup_cancel *token;
static bsoup_engine *engine;

#define REFUSED(call) ((call) == BSOUP_FORKED && strstr(bsoup_last_error(), "fork") ? 0 : (number = __LINE__ % 251 + 1))

/* 0, or a number that tells the line of the last call that was not FORKED. */
static int use_in_child(void) {
  static const int32_t one = 1;
  double numbers[3] = {0};
  const float *logits;
  const int32_t *tokens;
  size_t count = 1;
  uint64_t bytes = 1;
  int number = 0;
  bsoup_engine *new_engine = engine;
  bsoup_soup *new_soup = soup;
  bsoup_blend *new_blend = blend;
  bsoup_session *other = session;
  bsoup_cancel *new_token = token;
  bsoup_blend_info blend_info = {.struct_size = sizeof blend_info};
  bsoup_soup_info soup_info = {.struct_size = sizeof soup_info};
  bsoup_session_info session_info = {.struct_size = sizeof session_info};
  bsoup_generation_info info = {.struct_size = sizeof info};
  bsoup_step step = {.struct_size = sizeof step};
  REFUSED(bsoup_engine_create(NULL, &new_engine));
  REFUSED(bsoup_engine_memory(NULL, &bytes));
  REFUSED(bsoup_engine_memory(engine, &bytes));
  REFUSED(bsoup_cancel_create(&new_token));
  REFUSED(bsoup_soup_open(NULL, fixture("models/llama3"), NULL, &new_soup));
  REFUSED(bsoup_soup_add_backbone(soup, fixture("models/llama3"), NULL, NULL));
  REFUSED(bsoup_soup_set_bone_matrix(soup, 0.7));
  REFUSED(bsoup_soup_set_guard(soup, 1, 0));
  REFUSED(bsoup_blend_create(soup, NULL, &new_blend));
  REFUSED(bsoup_blend_wait(blend, UINT32_MAX));
  REFUSED(bsoup_blend_get_info(blend, &blend_info));
  REFUSED(bsoup_soup_solve(soup, NULL, NULL, numbers, NULL));
  REFUSED(bsoup_generate(blend, "a", 1, NULL, NULL));
  REFUSED(bsoup_generation_get_info(generation, &info));
  REFUSED(bsoup_session_create(blend, NULL, &other));
  REFUSED(bsoup_session_append(session, &one, 1));
  REFUSED(bsoup_session_append_text(session, "a", 1, 0, NULL, NULL));
  REFUSED(bsoup_session_rewind(session, 0));
  REFUSED(bsoup_session_fork(session, &other));
  REFUSED(bsoup_session_set_blend(session, blend, BSOUP_CONTINUE));
  REFUSED(bsoup_session_get_info(session, &session_info));
  REFUSED(bsoup_session_tokens(session, &tokens, &count));
  REFUSED(bsoup_session_generate(session, "a", 1, NULL, NULL));
  REFUSED(bsoup_decode(&session, 1, NULL));
  REFUSED(bsoup_session_logits(session, -1, &logits, &count));
  REFUSED(bsoup_session_next(session, &step));
  REFUSED(bsoup_soup_get_info(soup, &soup_info));
  REFUSED(bsoup_soup_tokenize(soup, "a", 1, 0, NULL, NULL, 0, &count));
  if (new_engine || new_soup || new_blend || other || new_token || bytes || count)
    number = 252;
  bsoup_cancel_request(token);
  bsoup_generation_free(generation);
  bsoup_session_free(session);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  bsoup_engine_free(engine);
  bsoup_cancel_free(token);
  if (!strstr(bsoup_build_info(), bsoup_version()) || strcmp(bsoup_status_name(BSOUP_FORKED), "BSOUP_FORKED"))
    number = 253;
  return number;
}

static int leave(void) { exit(0); }

static void a_child_forked_after_use_is_refused(void) {
  int answer = in_child(use_in_child);
  CHECK_NEAR(answer, 0, 0);
  CHECK(in_child(leave) == 0); /* an ordinary exit does not hang */
  OK(decode_one(session));     /* the parent goes on */
}

static int32_t fork_in_progress(double share, void *context) {
  (void)share;
  if (!*(int *)context)
    *(int *)context = 1 + in_child(use_in_child); /* while locks may be held */
  return 0;
}

static void a_child_forked_during_work_is_refused(void) {
  bsoup_open_options open;
  bsoup_blend_options how;
  bsoup_soup *other = NULL;
  bsoup_blend *folded = NULL;
  int answer = 0;
  bsoup_open_options_init(&open, sizeof open);
  open.progress = fork_in_progress;
  open.progress_context = &answer;
  OK(bsoup_soup_open(NULL, fixture("models/llama3"), &open, &other));
  CHECK(answer == 1);
  bsoup_soup_free(other);
  answer = 0;
  bsoup_blend_options_init(&how, sizeof how);
  how.kind = BSOUP_BLEND_FOLDED;
  how.background = 1; /* the callback runs on a thread of the library, which forks */
  how.progress = fork_in_progress;
  how.progress_context = &answer;
  OK(bsoup_blend_create(soup, &how, &folded));
  OK(bsoup_blend_wait(folded, UINT32_MAX));
  CHECK(answer == 1);
  bsoup_blend_free(folded);
}

/* --- Cancels. A progress callback is the moment; who raises the flag varies. --- */

static bsoup_cancel *flag;
static int raises; /* how often the callback was called */

static void raise_in_signal(int number) {
  (void)number;
  bsoup_cancel_request(flag);
}

static void *raise_in_thread(void *context) {
  bsoup_cancel_request(context);
  return NULL;
}

static int32_t by_callback(double share, void *context) {
  (void)share, (void)context;
  raises++;
  return 1;
}

static int32_t by_flag(double share, void *context) {
  (void)share, (void)context;
  raises++;
  bsoup_cancel_request(flag);
  return 0;
}

static int32_t by_thread(double share, void *context) {
  pthread_t thread;
  (void)share, (void)context;
  raises++;
  CHECK(!pthread_create(&thread, NULL, raise_in_thread, flag) && !pthread_join(thread, NULL));
  return 0;
}

static int32_t by_signal(double share, void *context) {
  (void)share, (void)context;
  raises++;
  raise(SIGUSR1);
  return 0;
}

static const bsoup_progress_fn ways[] = {by_callback, by_flag, by_thread, by_signal};
enum { WAYS = 4, WORKS = 6 };

static bsoup_status cancelled_open(bsoup_progress_fn progress) {
  bsoup_open_options options;
  bsoup_soup *made = soup;
  bsoup_status status;
  bsoup_open_options_init(&options, sizeof options);
  options.cancel = flag;
  options.progress = progress;
  status = bsoup_soup_open(NULL, fixture("soups/llama3-lora"), &options, &made);
  CHECK(made == NULL);
  return status;
}

static bsoup_status cancelled_backbone(bsoup_progress_fn progress) {
  bsoup_open_options options;
  bsoup_soup_info info = {.struct_size = sizeof info};
  bsoup_status status;
  bsoup_open_options_init(&options, sizeof options);
  options.cancel = flag;
  options.progress = progress;
  status = bsoup_soup_add_backbone(soup, fixture("soups/llama3-full/backbones/0"), &options, NULL);
  OK(bsoup_soup_get_info(soup, &info));
  CHECK(info.backbone_count == 3);
  return status;
}

static bsoup_status cancelled_fold(bsoup_progress_fn progress) {
  bsoup_blend_options options;
  bsoup_blend *made = blend;
  bsoup_status status;
  bsoup_blend_options_init(&options, sizeof options);
  options.kind = BSOUP_BLEND_FOLDED;
  options.cancel = flag;
  options.progress = progress;
  status = bsoup_blend_create(soup, &options, &made);
  CHECK(made == NULL);
  return status;
}

static bsoup_status cancelled_prefill(bsoup_progress_fn progress) {
  bsoup_generate_options options;
  bsoup_generate_options_init(&options, sizeof options);
  options.cancel = flag;
  options.prefill_progress = progress;
  return bsoup_generate(blend, long_prompt, sizeof long_prompt, &options, NULL);
}

static bsoup_status cancelled_session_prefill(bsoup_progress_fn progress) {
  bsoup_session *own = new_session(blend);
  bsoup_generate_options options;
  bsoup_status status;
  bsoup_generate_options_init(&options, sizeof options);
  options.cancel = flag;
  options.prefill_progress = progress;
  status = bsoup_session_generate(own, "The soup was", 12, &options, NULL);
  OK(bsoup_session_generate(own, " made", 5, NULL, NULL)); /* it can go on */
  bsoup_session_free(own);
  return status;
}

static bsoup_status cancelled_decode(bsoup_progress_fn progress) {
  static const int32_t tokens[200] = {1, 2, 3};
  bsoup_session *own = new_session(blend), *fresh = new_session(blend);
  bsoup_decode_options options;
  bsoup_status status;
  float *one, *other;
  size_t count;
  bsoup_decode_options_init(&options, sizeof options);
  options.cancel = flag;
  options.progress = progress;
  OK(bsoup_session_append(own, tokens, 200));
  OK(bsoup_session_append(fresh, tokens, 200));
  status = bsoup_decode(&own, 1, &options);
  OK(decode_one(own)); /* call again to go on */
  OK(decode_one(fresh));
  one = copy_logits(own, &count);
  other = copy_logits(fresh, &count);
  CHECK(same_bits(one, other, count));
  free(one);
  free(other);
  bsoup_session_free(own);
  bsoup_session_free(fresh);
  return status;
}

static const struct {
  const char *name;
  bsoup_status (*work)(bsoup_progress_fn progress);
} works[WORKS] = {{"cancel of an open", cancelled_open},
                  {"cancel of a backbone", cancelled_backbone},
                  {"cancel of a fold", cancelled_fold},
                  {"cancel of a prefill", cancelled_prefill},
                  {"cancel of a session's prefill", cancelled_session_prefill},
                  {"cancel of a decode", cancelled_decode}};

static void test_cancel(bsoup_status (*work)(bsoup_progress_fn progress)) {
  uint64_t before, after;
  int way;
  OK(bsoup_engine_memory(NULL, &before));
  for (way = 0; way < WAYS; way++) {
    NEED_OK(bsoup_cancel_create(&flag));
    raises = 0;
    FAILS(BSOUP_CANCELLED, work(ways[way]));
    CHECK(raises > 0);
    bsoup_cancel_free(flag);
  }
  NEED_OK(bsoup_cancel_create(&flag)); /* raised beforehand: nothing is begun */
  bsoup_cancel_request(flag);
  FAILS(BSOUP_CANCELLED, work(NULL));
  bsoup_cancel_free(flag);
  OK(bsoup_engine_memory(NULL, &after));
  CHECK(before == after);
}

static int32_t cancel_at_third(const char *text, size_t size, void *context) {
  collect(text, size, context);
  if (((collector *)context)->pieces == 3)
    bsoup_cancel_request(flag);
  return 0;
}

static void text_so_far_comes_with_a_cancel(void) {
  static const int32_t letters[] = {66, 67, 68, 69, 70, 71};
  script lines = {letters, 6, 0};
  collector all = {.size = 0};
  bsoup_generate_options how;
  bsoup_sampling_options sampling;
  bsoup_generation *made = NULL;
  bsoup_generation_info info;
  NEED_OK(bsoup_cancel_create(&flag));
  bsoup_sampling_options_init(&sampling, sizeof sampling);
  sampling.hook = dictate;
  sampling.hook_context = &lines;
  bsoup_generate_options_init(&how, sizeof how);
  how.sampling = &sampling;
  how.max_tokens = 6;
  how.cancel = flag;
  how.on_text = cancel_at_third;
  how.text_context = &all;
  FAILS(BSOUP_CANCELLED, bsoup_generate(blend, "a", 1, &how, &made));
  info = result_of(made);
  CHECK(info.finish == BSOUP_FINISH_CANCELLED && info.token_count == 3 && info.prompt_tokens == 2);
  CHECK(all.pieces == 3 && collected(&all, info.text, info.text_size));
  bsoup_generation_free(made);
  bsoup_cancel_free(flag);
}

static void a_used_token_ends_with_its_free(void) {
  bsoup_cancel *first = NULL, *second = NULL;
  bsoup_generate_options how;
  NEED_OK(bsoup_cancel_create(&first));
  bsoup_cancel_request(first);
  bsoup_cancel_free(first);
  NEED_OK(bsoup_cancel_create(&second));
  bsoup_cancel_request(first); /* freed: does nothing to the one that took its place */
  bsoup_generate_options_init(&how, sizeof how);
  how.max_tokens = 2;
  how.cancel = second;
  OK(bsoup_generate(blend, "a", 1, &how, NULL));
  bsoup_cancel_free(second);
}

static void there_are_many_tokens(void) {
  static bsoup_cancel *all[65536];
  int count = 0, i;
  bsoup_status status = BSOUP_OK;
  while (count < 65536 && !(status = bsoup_cancel_create(&all[count])))
    count++;
  CHECK(status == BSOUP_OUT_OF_MEMORY && count == 65535 - 1); /* one lives already */
  for (i = 0; i < count; i++)
    bsoup_cancel_free(all[i]);
}

int main(void) {
  static const int32_t one = 5;
  size_t i;
  check_time_limit();
  RUN(a_child_forked_before_first_use_may_use_it);
  check_begin("setting up");
  OK(bsoup_engine_create(NULL, &engine));
  soup = open_soup(NULL, fixture("soups/llama3-lora"));
  blend = default_blend(soup);
  session = new_session(blend);
  OK(bsoup_session_append(session, &one, 1));
  OK(decode_one(session));
  /* a long prompt, so that what steps keep for the next one is there */
  OK(bsoup_generate(blend, long_prompt, sizeof long_prompt, NULL, &generation));
  OK(bsoup_cancel_create(&token));
  signal(SIGUSR1, raise_in_signal);
  check_end();
  RUN(a_child_forked_after_use_is_refused);
  RUN(a_child_forked_during_work_is_refused);
  for (i = 0; i < WORKS; i++) {
    check_begin(works[i].name);
    test_cancel(works[i].work);
    check_end();
  }
  RUN(text_so_far_comes_with_a_cancel);
  RUN(a_used_token_ends_with_its_free);
  RUN(there_are_many_tokens);
  bsoup_generation_free(generation);
  bsoup_session_free(session);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  bsoup_engine_free(engine);
  bsoup_cancel_free(token);
  return check_finish();
}
