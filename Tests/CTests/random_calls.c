/*
 * Random calls with hostile values: NULL, freed and forged handles, NaN, huge numbers, structs of a wrong size, callbacks that
 * call back in, fail or cancel. Every status must be a known one and never INTERNAL, every failure must leave its handle
 * NULL, and at the end not a byte may be left.
 *
 * BONESOUP_SEED is the seed of the first of the sequences (default 1), BONESOUP_SECONDS how long they go on (default 10).
 */
#include "hostile_files.h"
#include <time.h>

static unsigned long calls, successes;

static bsoup_status blend_something(bsoup_soup *soup) {
  static double values[70];
  static float multipliers[64];
  static bsoup_named_value named[4];
  static const char *const names[] = {"brief", "happy", "vivid", "sad", NULL, ""};
  bsoup_blend_info info;
  bsoup_blend *blend = NULL;
  bsoup_status status;
  uint32_t i, sound = !one_in(3);
  OPTIONS(bsoup_blend, wish);
  for (i = 0; i < 70; i++)
    values[i] = sound ? (i < 2 ? below(50) / 100.0 : 0) : real();
  values[2] = sound ? 1 - values[0] - values[1] : real();
  for (i = 0; i < 64; i++)
    multipliers[i] = (float)real();
  for (i = 0; i < 4; i++)
    named[i].name = names[sound ? i % 3 : below(6)], named[i].value = values[i];
  if (one_in(3))
    wish->preference = values, wish->preference_count = sound ? 3 : below(70);
  if (one_in(3))
    wish->coefficients = values, wish->coefficient_count = sound ? 3 : below(70);
  if (one_in(4))
    wish->named = named, wish->named_count = sound ? 3 : below(5);
  if (one_in(8))
    wish->preset = texts[below(6)];
  if (one_in(10))
    wish->layer_multipliers = multipliers, wish->layer_multiplier_count = one_in(2) ? 9 : below(65);
  wish->kind = number(3);
  wish->weights = number(4);
  wish->background = number(2);
  wish->cancel = one_in(3) ? pick(CANCEL) : NULL;
  if (one_in(2))
    wish->progress = wish->background ? in_background : on_progress;
  if (one_in(4)) {
    uint64_t bytes;
    bsoup_blend_memory(soup, wish, &bytes);
    info.struct_size = sizeof info;
    bsoup_soup_solve(soup, wish, NULL, NULL, one_in(3) ? NULL : &info);
  }
  status = bsoup_blend_create(soup, one_in(8) ? NULL : wish, &blend);
  keep(BLEND, status, blend, 0);
  return status;
}

/* Options of a generation that the caller uses at once or begins. */
static bsoup_generate_options *generation_options(void) {
  static const char *stops[] = {"a", " the", ".", NULL};
  static int32_t ends[300];
  static bsoup_logit_bias biases[4];
  uint32_t i, sound = !one_in(4);
  OPTIONS(bsoup_sampling, sampling);
  OPTIONS(bsoup_generate, how);
  how->sampling = sampling;
  how->max_tokens = number(30);
  how->tokenize = number(4);
  how->context = one_in(3) ? number(600) : 0;
  how->kv_format = number(4);
  how->ignore_end = number(2);
  how->stop_strings = stops;
  how->stop_string_count = sound ? below(3) : below(5);
  how->stop_tokens = ends;
  how->stop_token_count = sound ? below(4) : number(300);
  for (i = 0; i < 300; i++)
    ends[i] = sound ? (int32_t)below(1280) : (int32_t)bits();
  how->response_only = one_in(4) ? number(2) : 0;
  how->on_text = one_in(2) ? on_text : NULL;
  how->cancel = one_in(4) ? pick(CANCEL) : NULL;
  how->prefill_progress = one_in(2) ? on_progress : NULL;
  sampling->temperature = sound ? below(20) / 10.0f : (float)real();
  sampling->top_k = number(50);
  sampling->top_p = sound ? 0.9f : (float)real();
  sampling->min_p = sound ? 0.01f : (float)real();
  if (one_in(2)) {
    sampling->repetition_penalty = sound ? 1.1f : (float)real();
    sampling->presence_penalty = sound ? 0.2f : (float)real();
    sampling->frequency_penalty = sound ? -0.1f : (float)real();
    sampling->penalty_window = (int32_t)number(40);
  }
  sampling->top_logprobs = number(6);
  sampling->seed = bits();
  for (i = 0; i < 4; i++)
    biases[i].token = (int32_t)number(1280), biases[i].bias = (float)real();
  sampling->logit_bias = biases;
  sampling->logit_bias_count = one_in(4) ? below(5) : 0;
  sampling->hook = one_in(4) ? hook : NULL;
  return one_in(16) ? NULL : how;
}

static bsoup_status generate_something(void) {
  bsoup_generation *generation = NULL;
  size_t size;
  const char *prompt = text(&size);
  int wanted = !one_in(4);
  bsoup_status status =
      one_in(2) ? bsoup_session_generate(pick(SESSION), prompt, size, generation_options(), wanted ? &generation : NULL)
                : bsoup_generate(pick(BLEND), prompt, size, generation_options(), wanted ? &generation : NULL);
  keep(GENERATION, status, generation, 1);
  return status;
}

static bsoup_status change_session(bsoup_session *session) {
  int32_t tokens[100];
  size_t i, size, count = below(100);
  const char *chosen = text(&size);
  bsoup_session *fork = NULL;
  bsoup_status status;
  switch (below(8)) {
  case 0:
    for (i = 0; i < count; i++)
      tokens[i] = one_in(400) ? (int32_t)bits() : (int32_t)below(1280);
    return bsoup_session_append(session, one_in(30) ? NULL : tokens, count);
  case 1:
    return bsoup_session_append_text(session, chosen, size, number(4), one_in(3) ? pick(CANCEL) : NULL,
                                     one_in(3) ? NULL : &count);
  case 2:
    return bsoup_session_rewind(session, number(60));
  case 3:
    status = bsoup_session_fork(session, one_in(40) ? NULL : &fork);
    if (fork || status != BSOUP_INVALID_ARGUMENT)
      keep(SESSION, status, fork, 0);
    return status;
  case 4:
    return bsoup_session_set_blend(session, pick(BLEND), number(2));
  case 5:
    return bsoup_session_begin(session, generation_options());
  default: {
    INFO(bsoup_step, step);
    return bsoup_session_next(session, step);
  }
  }
}

static bsoup_status decode_something(void) {
  bsoup_session *list[SLOTS];
  bsoup_status statuses[SLOTS];
  size_t i, count = 0;
  OPTIONS(bsoup_decode, how);
  for (i = 0; i < SLOTS; i++)
    if (slots[SESSION][i] && one_in(2))
      list[count++] = one_in(20) ? pick(SESSION) : slots[SESSION][i];
  how->max_rows = number(200);
  how->all_logits = number(2);
  how->statuses = one_in(2) ? statuses : NULL;
  how->cancel = one_in(4) ? pick(CANCEL) : NULL;
  how->progress = one_in(2) ? on_progress : NULL;
  if (one_in(3)) {
    bsoup_generation *texts[SLOTS] = {NULL};
    bsoup_status status;
    size_t begun = 0;
    for (i = 0; i < count; i++)
      if (bsoup_session_begin(list[i], generation_options()) == BSOUP_OK || one_in(20))
        list[begun++] = list[i];
    count = begun;
    if (!one_in(8))
      how->max_rows = how->all_logits = 0;
    status = bsoup_generate_batch(one_in(40) ? NULL : list, count, how, one_in(4) ? NULL : texts);
    for (i = 0; i < count; i++)
      bsoup_generation_free(texts[i]);
    return status;
  }
  return bsoup_decode(one_in(40) ? NULL : list, count, how);
}

static bsoup_status look_at_session(bsoup_session *session) {
  const int32_t *tokens;
  const float *logits;
  size_t count, i;
  bsoup_status status;
  double sum = 0;
  if (one_in(3)) {
    INFO(bsoup_session_info, info);
    return bsoup_session_get_info(session, info);
  }
  if (one_in(2)) {
    status = bsoup_session_tokens(session, &tokens, &count);
    for (i = 0; status == BSOUP_OK && i < count; i++)
      CHECK(tokens[i] >= 0 && tokens[i] < 1280);
    return status;
  }
  status = bsoup_session_logits(session, one_in(2) ? -1 : (int64_t)(int32_t)number(40), &logits, &count);
  for (i = 0; status == BSOUP_OK && i < count; i++)
    sum += logits[i];
  CHECK(status != BSOUP_OK || !isnan(sum));
  return status;
}

static bsoup_status look_at_soup(bsoup_soup *soup) {
  double values[64];
  char room[64];
  int32_t tokens[64];
  uint32_t special, i;
  size_t size, count, capacity = below(65);
  const char *name, *chosen = text(&size);
  for (i = 0; i < 64; i++)
    values[i] = real(), tokens[i] = (int32_t)number(1280);
  switch (below(9)) {
  case 0:
    return bsoup_soup_tokenize(soup, chosen, size, number(4), pick(CANCEL), tokens, capacity, &count);
  case 1:
    return bsoup_soup_detokenize(soup, tokens, capacity, number(2), room, below(65), &size);
  case 2:
    return bsoup_soup_token(soup, (int32_t)number(1280), room, capacity, &size, one_in(2) ? &special : NULL);
  case 3:
    return bsoup_soup_move_slider(soup, values, one_in(4) ? below(65) : 3, number(3), real());
  case 4:
    return bsoup_soup_preset(soup, number(3), &name, values, one_in(4) ? below(65) : 3);
  case 5:
    return bsoup_soup_matrix(soup, values, one_in(4) ? below(65) : 9);
  case 6: {
    INFO(bsoup_soup_info, info);
    return bsoup_soup_get_info(soup, info);
  }
  case 7: {
    INFO(bsoup_objective_info, info);
    return bsoup_soup_objective(soup, number(3), info);
  }
  default: {
    INFO(bsoup_backbone_info, info);
    return bsoup_soup_backbone(soup, number(3), info);
  }
  }
}

static bsoup_status build_something(bsoup_soup *soup) {
  static const char *const paths[] = {"brief", "happy", "happy-full", "nowhere", "../base"};
  double values[64];
  uint32_t i, index = 7;
  for (i = 0; i < 64; i++)
    values[i] = real();
  switch (below(6)) {
  case 0: {
    OPTIONS(bsoup_open, how);
    how->load = number(2);
    how->verify = number(4);
    how->cancel = one_in(4) ? pick(CANCEL) : NULL;
    how->progress = one_in(2) ? on_progress : NULL;
    return bsoup_soup_add_backbone(soup, one_in(20) ? NULL : fixture(name("demo-soup/backbones/%s", paths[below(5)])),
                                   how, one_in(2) ? &index : NULL);
  }
  case 1: {
    OPTIONS(bsoup_objective, objective);
    objective->name = one_in(10) ? texts[below(6)] : name("objective %u", below(70));
    objective->has_default = number(2);
    objective->default_weight = one_in(3) ? real() : 0.2;
    objective->maximum = one_in(3) ? real() : 1;
    return bsoup_soup_add_objective(soup, objective, &index);
  }
  case 2:
    return bsoup_soup_set_matrix(soup, values, one_in(3) ? below(9) : 3, one_in(3) ? below(8) : 3);
  case 3:
    return bsoup_soup_set_bone_matrix(soup, one_in(2) ? 0.7 : real());
  case 4:
    return bsoup_soup_set_extrapolation(soup, values, one_in(2) ? 3 : below(65));
  default:
    return bsoup_soup_set_guard(soup, one_in(2) ? 0 : real(), number(2));
  }
}

static bsoup_status open_something(void) {
  static const char *const paths[] = {"demo-soup", "demo-soup/soup-folded.json", "demo-soup/base", "nothing"};
  bsoup_soup *soup = NULL;
  bsoup_status status;
  OPTIONS(bsoup_open, how);
  how->weights = number(4);
  how->load = number(2);
  how->verify = number(4);
  how->cancel = one_in(4) ? pick(CANCEL) : NULL;
  how->progress = one_in(2) ? on_progress : NULL;
  status = bsoup_soup_open(engine, one_in(30) ? NULL : fixture(paths[below(4)]), how, &soup);
  keep(SOUP, status, soup, 0);
  return status;
}

static bsoup_status look_at_blend(bsoup_blend *blend) {
  double values[64];
  switch (below(4)) {
  case 0:
    return bsoup_blend_wait(blend, one_in(4) ? number(3) : UINT32_MAX);
  case 1:
    return bsoup_blend_preference(blend, values, one_in(4) ? below(65) : 3);
  case 2:
    return bsoup_blend_coefficients(blend, values, one_in(4) ? below(65) : 3);
  default: {
    INFO(bsoup_blend_info, info);
    return bsoup_blend_get_info(blend, info);
  }
  }
}

static bsoup_status make_session(bsoup_blend *blend) {
  bsoup_session *session = NULL;
  bsoup_status status;
  uint64_t bytes;
  OPTIONS(bsoup_session, how);
  how->context = one_in(3) ? number(512) : 0;
  how->kv_format = number(4);
  if (one_in(4))
    bsoup_session_memory(blend, how, &bytes);
  status = bsoup_session_create(blend, how, &session);
  keep(SESSION, status, session, 0);
  return status;
}

static bsoup_status do_something(void) {
  unsigned kind = below(KINDS), slot = below(SLOTS);
  void *handle = NULL;
  bsoup_status status;
  switch (below(32)) {
  case 0:
    status = bsoup_cancel_create((bsoup_cancel **)&handle);
    keep(CANCEL, status, handle, 0);
    return status;
  case 1:
    if (one_in(3))
      bsoup_cancel_request(pick(CANCEL));
    return BSOUP_OK;
  case 2:
    if (one_in(4)) {
      let_go((int)kind, slots[kind][slot]);
      stale[below(STALE)] = slots[kind][slot];
      slots[kind][slot] = NULL;
    } else
      let_go((int)kind, stale[below(STALE)]);
    return BSOUP_OK;
  case 3:
    return one_in(4) ? open_something() : BSOUP_OK;
  case 4:
  case 5:
    return blend_something(pick(SOUP));
  case 6:
  case 7:
    return make_session(pick(BLEND));
  case 8:
    return look_at_soup(pick(SOUP));
  case 9:
    return look_at_blend(pick(BLEND));
  case 10:
    return one_in(2) ? build_something(pick(SOUP)) : BSOUP_OK;
  case 11: {
    INFO(bsoup_generation_info, info);
    return bsoup_generation_get_info(pick(GENERATION), info);
  }
  case 12:
  case 13:
    return generate_something();
  case 14:
  case 15:
  case 16:
  case 17:
    return decode_something();
  case 18:
    return look_at_session(pick(SESSION));
  case 19:
    return one_in(2) ? work_on_files() : BSOUP_OK;
  default:
    return change_session(pick(SESSION));
  }
}

static void call_something(void) {
  bsoup_status status = do_something();
  calls++;
  successes += status == BSOUP_OK;
  /* A known one, and neither FORKED nor INTERNAL. */
  if (!CHECK(status >= BSOUP_OK && status <= BSOUP_CHECKSUM))
    printf("%s: %s\n", bsoup_status_name(status), bsoup_last_error());
  CHECK(status == BSOUP_OK || bsoup_last_error()[0]);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* One sequence of calls on an engine of its own, with or without a budget, till the end of its time. */
static void run_sequence(uint64_t seed, double until) {
  bsoup_engine_options options;
  uint64_t bytes = 1;
  int kind, slot, bad = check.bad;
  state = seed;
  bsoup_engine_options_init(&options, sizeof options);
  options.thread_count = 1 + below(3);
  options.memory_budget = one_in(2) ? 0 : 8u << 20;
  NEED_OK(bsoup_engine_create(&options, &engine));
  while (check.bad == bad && seconds() < until)
    call_something();
  for (kind = 0; kind < KINDS; kind++)
    for (slot = 0; slot < SLOTS; slot++) {
      let_go(kind, slots[kind][slot]);
      slots[kind][slot] = NULL;
    }
  OK(bsoup_engine_memory(engine, &bytes));
  CHECK(bytes == 0);
  bsoup_engine_free(engine);
  if (check.bad != bad)
    printf("the seed is %llu\n", (unsigned long long)seed);
}

static void random_calls_keep_every_promise(void) {
  const char *first = getenv("BONESOUP_SEED"), *time = getenv("BONESOUP_SECONDS");
  uint64_t seed = first ? strtoull(first, NULL, 10) : 1;
  double end = seconds() + (time ? atof(time) : 10);
  while (!check.bad && seconds() < end)
    run_sequence(seed++, seconds() + 1);
  printf("%lu calls, %lu of them successes\n", calls, successes);
  CHECK(successes > 100);
}

int main(void) {
  check_time_limit();
  RUN(random_calls_keep_every_promise);
  return check_finish();
}
