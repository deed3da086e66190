/* Prompt in, text out: greedy text, streaming, lengths, room, statistics, turns. */
#include "check.h"
#include "files.h"
#include "generating.h"
#include "model.h"

/* --- What comes out --- */

static void greedy_tokens_are_the_expected_ones(void) {
  size_t greedy_count, count;
  int32_t *greedy = read_tokens(fixture("models/llama3/expected.safetensors"), "greedy", &greedy_count);
  int32_t *tokens = read_tokens(fixture("models/llama3/expected.safetensors"), "tokens", &count);
  bsoup_session *session = new_session(blend);
  bsoup_generation *generation = NULL;
  bsoup_generation_info info;
  how.max_tokens = (uint32_t)greedy_count;
  how.ignore_end = 1;
  NEED_OK(bsoup_session_append(session, tokens, 8));
  NEED_OK(bsoup_session_generate(session, NULL, 0, &how, &generation));
  info = result_of(generation);
  CHECK(info.token_count == greedy_count && info.finish == BSOUP_FINISH_LENGTH);
  CHECK(info.token_count == greedy_count && !memcmp(info.tokens, greedy, greedy_count * sizeof *greedy));
  bsoup_generation_free(generation);
  bsoup_session_free(session);
  free(greedy);
  free(tokens);
}

static void the_text_is_that_of_the_tokens(void) {
  char text[2048];
  size_t size;
  bsoup_generation *generation;
  bsoup_generation_info info;
  how.max_tokens = 100;
  how.ignore_end = 1;
  generation = generate();
  info = result_of(generation);
  CHECK(info.token_count == 100 && is_utf8(info.text, info.text_size) && info.text[info.text_size] == 0);
  OK(bsoup_soup_detokenize(soup, info.tokens, info.token_count, BSOUP_DETOKENIZE_SKIP_SPECIAL, text, sizeof text,
                           &size));
  CHECK(size == info.text_size && !memcmp(text, info.text, size));
  bsoup_generation_free(generation);
}

static void pieces_are_whole_characters_and_add_up(void) {
  static const char text[] = "na\xC3\xAFve \xF0\x9F\x8D\xB2 \xE2\x82\xAC soup\xE2\x80\xA6 \xF0\x9D\x84\x9E was";
  collector all = {.size = 0};
  bsoup_generation *generation;
  bsoup_generation_info info;
  how.on_text = collect;
  how.text_context = &all;
  generation = say(text, -1);
  info = result_of(generation);
  CHECK(text_is(&info, text) && info.token_count > 20);
  CHECK(collected(&all, text, strlen(text)) && all.pieces > 10);
  bsoup_generation_free(generation);

  memset(&all, 0, sizeof all); /* and a random model's bytes, which are no UTF-8 at all */
  how.max_tokens = 200;
  how.ignore_end = 1;
  how.sampling = NULL;
  generation = generate();
  info = result_of(generation);
  CHECK(collected(&all, info.text, info.text_size) && strstr(info.text, "\xEF\xBF\xBD"));
  bsoup_generation_free(generation);
}

static void max_tokens_is_obeyed(void) {
  static const uint32_t counts[] = {0, 1, 2, 17};
  bsoup_generation *generation;
  bsoup_generation_info info;
  size_t i;
  how.ignore_end = 1;
  for (i = 0; i < 4; i++) {
    how.max_tokens = counts[i];
    generation = generate();
    info = result_of(generation);
    CHECK(info.token_count == counts[i] && info.finish == BSOUP_FINISH_LENGTH);
    CHECK(info.prompt_tokens == 3 && info.prefilled_tokens == 3); /* BOS, "The", " soup" */
    CHECK(counts[i] || (info.text_size == 0 && info.text[0] == 0));
    bsoup_generation_free(generation);
  }
}

/* --- Room and statistics --- */

static void a_prompt_without_room_is_refused(void) {
  char text[700];
  bsoup_generation *generation = NULL;
  memset(text, 'x', sizeof text);
  how.context = 16;
  FAILS_SAYING(BSOUP_CONTEXT_FULL, "16", bsoup_generate(blend, text, 40, &how, &generation));
  CHECK(generation == NULL);
  how.context = 0;
  FAILS_SAYING(BSOUP_CONTEXT_FULL, "256", bsoup_generate(blend, text, sizeof text, &how, &generation));
  CHECK(generation == NULL);
}

static void a_full_context_ends_the_text(void) {
  bsoup_generation *generation;
  bsoup_generation_info info;
  how.context = 16;
  how.max_tokens = 100;
  how.ignore_end = 1;
  generation = generate();
  info = result_of(generation);
  CHECK(info.finish == BSOUP_FINISH_CONTEXT && info.token_count == 16 - 3);
  bsoup_generation_free(generation);
}

static void an_empty_prompt_needs_a_begin_token(void) {
  bsoup_generation *generation = NULL;
  bsoup_generation_info info;
  how.max_tokens = 3;
  OK(bsoup_generate(blend, NULL, 0, &how, &generation));
  info = result_of(generation);
  CHECK(info.prompt_tokens == 1);
  bsoup_generation_free(generation);
  how.tokenize = 0;
  FAILS(BSOUP_NOT_READY, bsoup_generate(blend, "", 0, &how, &generation));
  CHECK(generation == NULL);
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_generate(blend, NULL, 3, &how, &generation));
}

static int32_t note_share(double share, void *context) {
  double *shares = context; /* the last one, and how many fell or left 0 to 1 */
  shares[1] += !(share >= shares[0] && share <= 1);
  shares[0] = share;
  return 0;
}

static void statistics_are_plausible(void) {
  char text[201];
  double shares[2] = {0, 0};
  bsoup_generation *generation = NULL;
  bsoup_generation_info info;
  memset(text, 'x', 200);
  how.max_tokens = 5;
  how.ignore_end = 1;
  how.prefill_progress = note_share;
  how.prefill_context = shares;
  NEED_OK(bsoup_generate(blend, text, 200, &how, &generation));
  info = result_of(generation);
  CHECK(info.prompt_tokens == 201 && info.prefilled_tokens == 201 && info.token_count == 5);
  CHECK(info.prefill_seconds > 0 && info.prefill_seconds < 60 && info.decode_seconds > 0 && info.decode_seconds < 60);
  CHECK(strlen(info.fingerprint) == 64 && strspn(info.fingerprint, "0123456789abcdef") == 64);
  CHECK(shares[0] == 1 && shares[1] == 0);
  bsoup_generation_free(generation);
}

static void a_session_remembers_its_turns(void) {
  bsoup_session *session = new_session(blend);
  bsoup_generation *first = NULL, *second = NULL;
  bsoup_generation_info info;
  const int32_t *tokens;
  size_t count;
  how.max_tokens = 5;
  how.ignore_end = 1;
  how.tokenize = 0; /* not even a BOS */
  FAILS(BSOUP_NOT_READY, bsoup_session_generate(session, NULL, 0, &how, NULL));
  how.tokenize = BSOUP_TOKENIZE_SPECIAL;
  NEED_OK(bsoup_session_generate(session, prompt, PROMPT, &how, &first));
  NEED_OK(bsoup_session_generate(session, " was", 4, &how, &second));
  info = result_of(second);
  CHECK(info.prompt_tokens == 1 && info.prefilled_tokens == 2); /* no second BOS; the pending token, and the new one */
  OK(bsoup_session_tokens(session, &tokens, &count));
  CHECK(count == 3 + 5 + 1 + 5 && tokens[0] == 284 && !memcmp(tokens + 9, info.tokens, 5 * sizeof *tokens));
  info = result_of(first);
  CHECK(!memcmp(tokens + 3, info.tokens, 5 * sizeof *tokens));
  bsoup_generation_free(first);
  bsoup_generation_free(second);
  bsoup_session_free(session);
}

static void steps_give_what_generate_gives(void) {
  bsoup_session *session = new_session(blend);
  bsoup_step step = {.struct_size = sizeof step};
  bsoup_generation *generation;
  bsoup_generation_info info;
  collector all = {.size = 0};
  uint32_t steps = 0;
  size_t count;
  sampling.temperature = 0.9f;
  sampling.seed = 3;
  how.sampling = &sampling;
  how.max_tokens = 60;
  how.ignore_end = 1;
  generation = generate();
  info = result_of(generation);
  NEED_OK(bsoup_session_append_text(session, prompt, PROMPT, BSOUP_TOKENIZE_SPECIAL, NULL, &count));
  NEED_OK(bsoup_session_begin(session, &how));
  do {
    NEED_OK(decode_one(session));
    NEED_OK(bsoup_session_next(session, &step));
    CHECK(steps < info.token_count && step.token == info.tokens[steps] && step.logprob == info.logprobs[steps]);
    if (step.text_size)
      collect(step.text, step.text_size, &all);
    steps++;
  } while (step.finish == BSOUP_FINISH_NONE);
  CHECK(steps == info.token_count && step.finish == info.finish && collected(&all, info.text, info.text_size));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_next(session, &step));
  bsoup_generation_free(generation);
  bsoup_session_free(session);
}

int main(void) {
  set_up();
  GENERATE(greedy_tokens_are_the_expected_ones);
  GENERATE(the_text_is_that_of_the_tokens);
  GENERATE(pieces_are_whole_characters_and_add_up);
  GENERATE(max_tokens_is_obeyed);
  GENERATE(a_prompt_without_room_is_refused);
  GENERATE(a_full_context_ends_the_text);
  GENERATE(an_empty_prompt_needs_a_begin_token);
  GENERATE(statistics_are_plausible);
  GENERATE(a_session_remembers_its_turns);
  GENERATE(steps_give_what_generate_gives);
  return tear_down();
}
