/* Many sessions in one step: the bits of each alone, limits, statuses, threads. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <pthread.h>

enum { SESSIONS = 16, STEPS = 12 };

static int32_t *tokens; /* 64, of models/llama3; all below 128 are tokens of models/qwen2 too */
static size_t token_count;
static bsoup_soup *full, *lora, *other; /* other: soups/qwen2-lora, with a vocabulary of 128 */

/* 16 blends: folded ones of two soups, live ones of two soups, all different. */
static bsoup_blend *blend_number(int i) {
  double part = i / (double)SESSIONS, two[] = {part, 1 - part}, three[] = {part, (1 - part) / 2, (1 - part) / 2};
  switch (i % 4) {
  case 0:
    return blend_of_preference(full, BSOUP_BLEND_FOLDED, two, 2);
  case 1:
    return blend_of_preference(lora, BSOUP_BLEND_LIVE, three, 3);
  case 2:
    return blend_of_preference(other, BSOUP_BLEND_LIVE, two, 2);
  default:
    return blend_of_preference(lora, i % 8 == 3 ? BSOUP_BLEND_FOLDED : BSOUP_BLEND_LIVE, three, 3);
  }
}

/* Appends a prompt of its own length; those of `other` keep below its vocabulary. */
static void append_prompt(bsoup_session *session, int i) {
  int32_t prompt[64];
  size_t length = 1 + (size_t)(i * 7) % 60, j;
  for (j = 0; j < length; j++)
    prompt[j] = tokens[(j + (size_t)i) % token_count] % 128;
  OK(bsoup_session_append(session, prompt, length));
}

/* The greedy token and the logits of this step, appended to the record; and the token to the session. */
static void record_step(bsoup_session *session, float *record, int append) {
  size_t count;
  float *logits = copy_logits(session, &count);
  int32_t next;
  if (!CHECK(logits && count <= 288)) {
    free(logits);
    return;
  }
  memcpy(record, logits, count * sizeof *logits);
  next = highest(logits, count);
  if (append)
    OK(bsoup_session_append(session, &next, 1));
  free(logits);
}

static float alone[SESSIONS][STEPS][288], together[SESSIONS][STEPS][288];

static void each_session_has_the_bits_of_itself_alone(void) {
  bsoup_session *sessions[SESSIONS];
  int i, step;
  for (i = 0; i < SESSIONS; i++) {
    bsoup_blend *blend = blend_number(i);
    bsoup_session *session = new_session(blend);
    append_prompt(session, i);
    for (step = 0; step < STEPS; step++) {
      OK(decode_one(session));
      record_step(session, alone[i][step], 1);
    }
    bsoup_session_free(session);
    sessions[i] = new_session(blend);
    append_prompt(sessions[i], i);
    bsoup_blend_free(blend);
  }
  for (step = 0; step < STEPS; step++) { /* the first prefills, of all lengths; then one token each */
    OK(bsoup_decode(sessions, SESSIONS, NULL));
    for (i = 0; i < SESSIONS; i++)
      record_step(sessions[i], together[i][step], 1);
  }
  for (i = 0; i < SESSIONS; i++) {
    for (step = 0; step < STEPS; step++)
      CHECK(!memcmp(alone[i][step], together[i][step], sizeof alone[i][step]));
    bsoup_session_free(sessions[i]);
  }
}

/* Sessions that join late, so that prompts and single tokens stand in one step. */
static void prefill_and_decode_mix(void) {
  bsoup_session *sessions[SESSIONS];
  int i, step, joined;
  for (i = 0; i < SESSIONS; i++) {
    bsoup_blend *blend = blend_number(i);
    sessions[i] = new_session(blend);
    append_prompt(sessions[i], i);
    bsoup_blend_free(blend);
  }
  for (step = 0; step < STEPS; step++) {
    joined = step < 4 ? 4 * (step + 1) : SESSIONS;
    OK(bsoup_decode(sessions, (size_t)joined, NULL));
    for (i = 0; i < joined; i++)
      if (step - i / 4 >= 0)
        record_step(sessions[i], together[i][step - i / 4], 1);
  }
  for (i = 0; i < SESSIONS; i++) {
    for (step = 0; step < STEPS - i / 4; step++)
      CHECK(!memcmp(alone[i][step], together[i][step], sizeof alone[i][step]));
    bsoup_session_free(sessions[i]);
  }
}

static uint64_t computed(bsoup_session *const *sessions, size_t count) {
  uint64_t sum = 0;
  size_t i;
  for (i = 0; i < count; i++)
    sum += info_of_session(sessions[i]).computed_count;
  return sum;
}

static void max_rows_splits_the_work_and_no_bits(void) {
  bsoup_session *sessions[SESSIONS];
  bsoup_decode_options options;
  uint64_t before = 0, after, wanted = 0;
  int i, calls = 0;
  for (i = 0; i < SESSIONS; i++) {
    bsoup_blend *blend = blend_number(i);
    sessions[i] = new_session(blend);
    append_prompt(sessions[i], i);
    wanted += info_of_session(sessions[i]).token_count;
    bsoup_blend_free(blend);
  }
  bsoup_decode_options_init(&options, sizeof options);
  options.max_rows = 7;
  do {
    OK(bsoup_decode(sessions, SESSIONS, &options));
    after = computed(sessions, SESSIONS);
    NEED(after > before && after - before <= 7);
    before = after;
    calls++;
  } while (after < wanted);
  CHECK((uint64_t)calls == (wanted + 6) / 7);
  for (i = 0; i < SESSIONS; i++) {
    record_step(sessions[i], together[i][0], 0);
    CHECK(!memcmp(alone[i][0], together[i][0], sizeof alone[i][0]));
    bsoup_session_free(sessions[i]);
  }
}

static void a_prompt_can_be_split_anywhere(void) {
  bsoup_blend *blend = default_blend(lora);
  size_t split, count;
  float *whole = logits_of(blend, tokens, token_count, &count);
  for (split = 1; split < token_count; split++) {
    bsoup_session *session = new_session(blend);
    float *got;
    OK(bsoup_session_append(session, tokens, split));
    OK(decode_one(session));
    OK(bsoup_session_append(session, tokens + split, token_count - split));
    OK(decode_one(session));
    got = copy_logits(session, &count);
    CHECK(same_bits(whole, got, count));
    free(got);
    bsoup_session_free(session);
  }
  free(whole);
  bsoup_blend_free(blend);
}

static void all_logits_are_those_of_single_steps(void) {
  bsoup_blend *blend = default_blend(lora);
  bsoup_session *session = new_session(blend);
  bsoup_decode_options options;
  const float *logits;
  size_t count, position;
  bsoup_decode_options_init(&options, sizeof options);
  options.all_logits = 1;
  OK(bsoup_session_append(session, tokens, 4));
  FAILS(BSOUP_NOT_READY, bsoup_session_logits(session, -1, &logits, &count));
  CHECK(count == 0);
  OK(decode_one(session));
  OK(bsoup_session_logits(session, -1, &logits, &count));
  OK(bsoup_session_logits(session, 3, &logits, &count));
  FAILS(BSOUP_NOT_READY, bsoup_session_logits(session, 2, &logits, &count));
  OK(bsoup_session_append(session, tokens + 4, token_count - 4));
  OK(bsoup_decode(&session, 1, &options));
  for (position = 4; position < token_count; position++) {
    size_t own;
    float *single = logits_of(blend, tokens, position + 1, &own);
    if (OK(bsoup_session_logits(session, (int64_t)position, &logits, &count)))
      CHECK(count == own && same_bits(single, logits, count));
    free(single);
  }
  FAILS(BSOUP_NOT_READY, bsoup_session_logits(session, 3, &logits, &count)); /* of an earlier decode */
  CHECK(bsoup_session_logits(session, (int64_t)token_count, &logits, &count) != BSOUP_OK);
  CHECK(bsoup_session_logits(session, -2, &logits, &count) == BSOUP_INVALID_ARGUMENT);
  CHECK(bsoup_session_logits(session, INT64_MIN, &logits, &count) == BSOUP_INVALID_ARGUMENT);
  bsoup_session_free(session);
  bsoup_blend_free(blend);
}

/* --- Statuses --- */

static void nothing_is_computed_where_one_cannot(void) {
  bsoup_blend *blend = default_blend(lora);
  bsoup_session *sessions[] = {new_session(blend), new_session(blend), new_session(blend)}, *twice[2];
  bsoup_status statuses[3] = {-1, -1, -1};
  bsoup_decode_options options;
  bsoup_decode_options_init(&options, sizeof options);
  options.statuses = statuses;
  OK(bsoup_session_append(sessions[0], tokens, 5));
  OK(bsoup_session_append(sessions[2], tokens, 5));
  bsoup_session_free(sessions[1]);
  FAILS(BSOUP_STALE_HANDLE, bsoup_decode(sessions, 3, &options));
  CHECK(statuses[1] == BSOUP_STALE_HANDLE && info_of_session(sessions[0]).computed_count == 0);
  CHECK(info_of_session(sessions[2]).computed_count == 0);
  twice[0] = twice[1] = sessions[0];
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_decode(twice, 2, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_decode(NULL, 2, NULL));
  OK(bsoup_decode(NULL, 0, NULL));
  sessions[1] = new_session(blend); /* empty: nothing pending, which is fine */
  OK(bsoup_decode(sessions, 3, &options));
  CHECK(statuses[0] == BSOUP_OK && statuses[1] == BSOUP_OK && statuses[2] == BSOUP_OK);
  CHECK(info_of_session(sessions[2]).computed_count == 5 && info_of_session(sessions[1]).computed_count == 0);
  OK(bsoup_decode(sessions, 3, NULL)); /* and again: nothing to do */
  bsoup_session_free(sessions[0]);
  bsoup_session_free(sessions[1]);
  bsoup_session_free(sessions[2]);
  bsoup_blend_free(blend);
}

/* Room for a step's own buffers and one session's KV, not for three. */
static void one_without_memory_is_left_out(void) {
  bsoup_engine_options engine_options;
  bsoup_engine *engine = NULL;
  bsoup_soup *soup;
  bsoup_blend *blend;
  bsoup_session *sessions[3];
  bsoup_status statuses[3];
  bsoup_decode_options options;
  uint64_t held, budget;
  int32_t prompt[64];
  int i, mixed = 0;
  for (i = 0; i < 64; i++)
    prompt[i] = tokens[i] % 128;
  bsoup_decode_options_init(&options, sizeof options);
  options.statuses = statuses;
  bsoup_engine_options_init(&engine_options, sizeof engine_options);
  NEED_OK(bsoup_engine_create(&engine_options, &engine));
  soup = open_soup(engine, fixture("models/qwen2"));
  OK(bsoup_engine_memory(engine, &held));
  bsoup_soup_free(soup);
  bsoup_engine_free(engine);
  for (budget = held; budget < held + 1000000 && !mixed; budget += 4096) {
    int good = 0;
    engine_options.memory_budget = budget;
    NEED_OK(bsoup_engine_create(&engine_options, &engine));
    soup = NULL;
    blend = NULL;
    memset(sessions, 0, sizeof sessions);
    if (bsoup_soup_open(engine, fixture("models/qwen2"), NULL, &soup) == BSOUP_OK &&
        bsoup_blend_create(soup, NULL, &blend) == BSOUP_OK) {
      /* One session comes and goes first: steps keep their own buffers for the next one. */
      int made = bsoup_session_create(blend, NULL, &sessions[0]) == BSOUP_OK &&
                 bsoup_session_append(sessions[0], prompt, 64) == BSOUP_OK && decode_one(sessions[0]) == BSOUP_OK;
      bsoup_session_free(sessions[0]);
      sessions[0] = NULL;
      for (i = 0; i < 3; i++)
        made &= bsoup_session_create(blend, NULL, &sessions[i]) == BSOUP_OK &&
                bsoup_session_append(sessions[i], prompt, 64) == BSOUP_OK;
      if (made) {
        bsoup_status status = bsoup_decode(sessions, 3, &options);
        for (i = 0; i < 3; i++) {
          CHECK(statuses[i] == BSOUP_OK || statuses[i] == BSOUP_OUT_OF_MEMORY);
          CHECK((info_of_session(sessions[i]).computed_count == 64) == (statuses[i] == BSOUP_OK));
          good += statuses[i] == BSOUP_OK;
        }
        CHECK(status == (good == 3 ? BSOUP_OK : BSOUP_OUT_OF_MEMORY));
        mixed = good == 1 || good == 2;
      }
    }
    for (i = 0; i < 3; i++)
      bsoup_session_free(sessions[i]);
    bsoup_blend_free(blend);
    bsoup_soup_free(soup);
    bsoup_engine_free(engine);
  }
  CHECK(mixed);
}

/* --- Sessions in many threads --- */

typedef struct {
  int first, failures;
} share;

static void *decode_a_share(void *context) {
  share *own = context;
  int i, step;
  for (i = own->first; i < SESSIONS; i += 4) {
    bsoup_blend *blend = blend_number(i);
    bsoup_session *session = new_session(blend);
    append_prompt(session, i);
    for (step = 0; step < STEPS; step++) {
      own->failures += decode_one(session) != BSOUP_OK;
      record_step(session, together[i][step], 1);
    }
    bsoup_session_free(session);
    bsoup_blend_free(blend);
  }
  return NULL;
}

static void threads_with_own_sessions_get_the_same_bits(void) {
  pthread_t threads[4];
  share shares[4];
  int i;
  memset(together, 0, sizeof together);
  for (i = 0; i < 4; i++) {
    shares[i].first = i;
    shares[i].failures = 0;
    NEED(!pthread_create(&threads[i], NULL, decode_a_share, &shares[i]));
  }
  for (i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    CHECK(shares[i].failures == 0);
  }
  CHECK(!memcmp(alone, together, sizeof alone));
}

/* --- Whole texts in one call --- */

enum { TEXTS = 60 };

static bsoup_session *begun_session(bsoup_blend *blend, int i) {
  bsoup_session *session = new_session(blend);
  bsoup_sampling_options sampling;
  bsoup_generate_options how;
  bsoup_sampling_options_init(&sampling, sizeof sampling);
  bsoup_generate_options_init(&how, sizeof how);
  sampling.temperature = 1;
  sampling.seed = (uint64_t)i;
  how.sampling = &sampling;
  how.max_tokens = (uint32_t)(2 + i % 9);
  append_prompt(session, i);
  OK(bsoup_session_begin(session, &how));
  return session;
}

static void a_batch_writes_the_texts_of_the_loop(void) {
  bsoup_session *sessions[TEXTS];
  bsoup_generation *texts[TEXTS];
  bsoup_status statuses[TEXTS];
  bsoup_decode_options options;
  int i;
  for (i = 0; i < TEXTS; i++) {
    bsoup_blend *blend = blend_number(i % SESSIONS);
    sessions[i] = begun_session(blend, i);
    bsoup_blend_free(blend);
  }
  bsoup_decode_options_init(&options, sizeof options);
  options.statuses = statuses;
  options.max_rows = 1;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_generate_batch(sessions, TEXTS, &options, texts));
  options.max_rows = 0;
  OK(bsoup_generate_batch(sessions, TEXTS, &options, texts));
  for (i = 0; i < TEXTS; i++) {
    bsoup_blend *blend = blend_number(i % SESSIONS);
    bsoup_session *session = begun_session(blend, i);
    bsoup_generation_info info = {.struct_size = sizeof info};
    bsoup_step step = {.struct_size = sizeof step};
    uint32_t count = 0;
    CHECK(statuses[i] == BSOUP_OK);
    NEED_OK(bsoup_generation_get_info(texts[i], &info));
    do {
      OK(decode_one(session));
      NEED_OK(bsoup_session_next(session, &step));
      CHECK(count < info.token_count && info.tokens[count] == step.token && info.logprobs[count] == step.logprob);
      count++;
    } while (step.finish == BSOUP_FINISH_NONE);
    CHECK(count == info.token_count && step.finish == info.finish);
    bsoup_generation_free(texts[i]);
    bsoup_session_free(session);
    bsoup_session_free(sessions[i]);
    bsoup_blend_free(blend);
  }
  OK(bsoup_generate_batch(NULL, 0, NULL, NULL));
}

static void any_number_of_threads_gives_the_same_bits(void) {
  bsoup_blend *blend = default_blend(lora);
  size_t count;
  float *expected = logits_of(blend, tokens, token_count, &count);
  uint32_t threads;
  bsoup_blend_free(blend);
  for (threads = 1; threads <= 4; threads++) {
    bsoup_engine_options options;
    bsoup_engine *engine = NULL;
    bsoup_soup *soup;
    float *got;
    bsoup_engine_options_init(&options, sizeof options);
    options.thread_count = threads;
    NEED_OK(bsoup_engine_create(&options, &engine));
    soup = open_soup(engine, fixture("soups/llama3-lora"));
    blend = default_blend(soup);
    got = logits_of(blend, tokens, token_count, &count);
    CHECK(same_bits(expected, got, count));
    free(got);
    bsoup_blend_free(blend);
    bsoup_soup_free(soup);
    bsoup_engine_free(engine);
  }
  free(expected);
}

int main(void) {
  check_time_limit();
  tokens = read_tokens(fixture("models/llama3/expected.safetensors"), "tokens", &token_count);
  full = open_soup(NULL, fixture("soups/llama3-full"));
  lora = open_soup(NULL, fixture("soups/llama3-lora"));
  other = open_soup(NULL, fixture("soups/qwen2-lora"));
  RUN(each_session_has_the_bits_of_itself_alone);
  RUN(prefill_and_decode_mix);
  RUN(max_rows_splits_the_work_and_no_bits);
  RUN(a_prompt_can_be_split_anywhere);
  RUN(all_logits_are_those_of_single_steps);
  RUN(nothing_is_computed_where_one_cannot);
  RUN(one_without_memory_is_left_out);
  RUN(threads_with_own_sessions_get_the_same_bits);
  RUN(a_batch_writes_the_texts_of_the_loop);
  RUN(any_number_of_threads_gives_the_same_bits);
  bsoup_soup_free(full);
  bsoup_soup_free(lora);
  bsoup_soup_free(other);
  free(tokens);
  return check_finish();
}
