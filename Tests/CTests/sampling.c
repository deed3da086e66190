/* Log probabilities, seeds, filters, penalties, and their limits. */
#include "check.h"
#include "files.h"
#include "generating.h"
#include "model.h"

/* --- Probabilities and sampling --- */

static void log_probabilities_are_the_models_own(void) {
  static const bsoup_logit_bias bias[] = {{50, 3.0f}, {184, -INFINITY}};
  bsoup_session *session = new_session(blend);
  bsoup_step step = {.struct_size = sizeof step};
  const float *logits;
  size_t count, i, steps;
  sampling.top_logprobs = 100;
  sampling.logit_bias = bias;
  sampling.logit_bias_count = 2;
  sampling.temperature = 1.5f;
  sampling.repetition_penalty = 1.2f;
  how.sampling = &sampling;
  how.ignore_end = 1;
  NEED_OK(bsoup_session_append_text(session, prompt, PROMPT, BSOUP_TOKENIZE_SPECIAL, NULL, &count));
  CHECK(count == 3);
  NEED_OK(bsoup_session_begin(session, &how));
  for (steps = 0; steps < 8; steps++) {
    double sum = 0, top = 0;
    double normaliser[288];
    NEED_OK(decode_one(session));
    NEED_OK(bsoup_session_logits(session, -1, &logits, &count));
    for (i = 0; i < count; i++)
      normaliser[i] = logits[i];
    for (i = 0; i < count; i++)
      sum += exp(normaliser[i]);
    NEED_OK(bsoup_session_next(session, &step));
    NEED(step.top_count == 100 && step.top && step.token >= 0 && step.token < 288 && step.token != 184);
    CHECK_NEAR(step.logprob, normaliser[step.token] - log(sum), 1e-5);
    for (i = 0; i < step.top_count; i++) {
      CHECK_NEAR(step.top[i].logprob, normaliser[step.top[i].token] - log(sum), 1e-5);
      CHECK(i == 0 || step.top[i].logprob <= step.top[i - 1].logprob);
      top += exp(step.top[i].logprob);
    }
    CHECK(top > 0.3 && top < 1 + 1e-5);
  }
  bsoup_session_free(session);
  sampling.top_logprobs = 101;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "top_logprobs", bsoup_generate(blend, prompt, PROMPT, &how, NULL));
}

static void alternatives_come_with_the_result(void) {
  bsoup_generation *generation;
  bsoup_generation_info info;
  uint32_t i;
  sampling.top_logprobs = 3;
  how.sampling = &sampling;
  how.max_tokens = 10;
  how.ignore_end = 1;
  generation = generate();
  info = result_of(generation);
  NEED(info.token_count == 10 && info.top_count == 3 && info.top && info.logprobs);
  for (i = 0; i < 10; i++) {
    const bsoup_logprob *top = info.top + (size_t)3 * i;
    CHECK(top[0].token == info.tokens[i] && top[0].logprob == info.logprobs[i]); /* greedy */
    CHECK(top[0].logprob >= top[1].logprob && top[1].logprob >= top[2].logprob && info.logprobs[i] < 0);
  }
  bsoup_generation_free(generation);
  sampling.top_logprobs = 0;
  generation = generate();
  info = result_of(generation);
  CHECK(info.top == NULL && info.top_count == 0);
  bsoup_generation_free(generation);
}

/* The tokens of a run with `sampling`; 40 of them. */
static void sample(int32_t *tokens) {
  bsoup_generation *generation;
  bsoup_generation_info info;
  how.sampling = &sampling;
  how.max_tokens = 40;
  how.ignore_end = 1;
  generation = generate();
  info = result_of(generation);
  memset(tokens, 0, 40 * sizeof *tokens);
  if (CHECK(info.token_count == 40))
    memcpy(tokens, info.tokens, 40 * sizeof *tokens);
  bsoup_generation_free(generation);
}

static void seeds_repeat_and_differ(void) {
  int32_t one[40], again[40], other[40], greedy[40];
  sample(greedy);
  sampling.temperature = 1;
  sampling.seed = 7;
  sample(one);
  sample(again);
  sampling.seed = 8;
  sample(other);
  CHECK(!memcmp(one, again, sizeof one) && memcmp(one, other, sizeof one) && memcmp(one, greedy, sizeof one));
  sampling.top_k = 1;
  sample(other);
  CHECK(!memcmp(other, greedy, sizeof greedy));
  sampling.top_k = 0;
  sampling.top_p = 1e-6f;
  sample(other);
  CHECK(!memcmp(other, greedy, sizeof greedy));
  sampling.top_p = 1;
  sampling.min_p = 1;
  sample(other);
  CHECK(!memcmp(other, greedy, sizeof greedy));
}

static void penalties_count_what_was_seen(void) {
  int32_t greedy[40], tokens[40];
  int i, j, repeats = 0;
  sample(greedy);
  sampling.presence_penalty = 1000;
  sample(tokens);
  for (i = 0; i < 40; i++)
    for (j = 0; j < i; j++)
      repeats += tokens[i] == tokens[j];
  CHECK(repeats == 0);
  sampling.penalty_window = 0;
  sample(tokens);
  CHECK(!memcmp(tokens, greedy, sizeof greedy));
}

static void values_out_of_range_are_refused(void) {
  static const struct {
    const char *field;
    size_t offset;
    float value;
  } rows[] = {
      {"temperature", offsetof(bsoup_sampling_options, temperature), -1},
      {"temperature", offsetof(bsoup_sampling_options, temperature), NAN},
      {"temperature", offsetof(bsoup_sampling_options, temperature), INFINITY},
      {"top_p", offsetof(bsoup_sampling_options, top_p), 1.5f},
      {"top_p", offsetof(bsoup_sampling_options, top_p), -0.1f},
      {"min_p", offsetof(bsoup_sampling_options, min_p), 1.5f},
      {"min_p", offsetof(bsoup_sampling_options, min_p), NAN},
      {"repetition_penalty", offsetof(bsoup_sampling_options, repetition_penalty), 0},
      {"repetition_penalty", offsetof(bsoup_sampling_options, repetition_penalty), NAN},
      {"presence_penalty", offsetof(bsoup_sampling_options, presence_penalty), INFINITY},
      {"frequency_penalty", offsetof(bsoup_sampling_options, frequency_penalty), NAN},
      {"presence_penalty", offsetof(bsoup_sampling_options, presence_penalty), 1e30f},
  };
  bsoup_logit_bias bias = {288, 1};
  size_t i;
  how.max_tokens = 2;
  how.sampling = &sampling;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    bsoup_sampling_options_init(&sampling, sizeof sampling);
    memcpy((char *)&sampling + rows[i].offset, &rows[i].value, sizeof rows[i].value);
    FAILS_SAYING(BSOUP_INVALID_ARGUMENT, rows[i].field, bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  }
  bsoup_sampling_options_init(&sampling, sizeof sampling);
  sampling.penalty_window = -2;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "penalty_window", bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  sampling.penalty_window = -1;
  sampling.logit_bias_count = 1;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "logit_bias", bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  sampling.logit_bias = &bias;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "288", bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  bias.token = 3;
  bias.bias = NAN;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_generate(blend, prompt, PROMPT, &how, NULL));
  bsoup_sampling_options_init(&sampling, sizeof sampling);
  how.tokenize = 8;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "tokenize", bsoup_generate(blend, prompt, PROMPT, &how, NULL));
}

int main(void) {
  set_up();
  GENERATE(log_probabilities_are_the_models_own);
  GENERATE(alternatives_come_with_the_result);
  GENERATE(seeds_repeat_and_differ);
  GENERATE(penalties_count_what_was_seen);
  GENERATE(values_out_of_range_are_refused);
  return tear_down();
}
