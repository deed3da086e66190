/* Files cut at many lengths and with flipped bits: no status is right or wrong, but there is one, and no crash. */
#include "check.h"
#include "files.h"
#include "model.h"

#define WEIGHTS "model.safetensors"
#define TOKENIZER "tokenizer.json"

static uint32_t random_state = 1;
static uint32_t random_below(uint32_t bound) {
  random_state = random_state * 1664525u + 1013904223u;
  return (uint32_t)((uint64_t)random_state * bound >> 32);
}

/* Opens models/llama3 with one of its files replaced; a success must be good for a step. */
static int survives(const char *changed, const char *data, size_t size) {
  static const char *const all[] = {"config.json", "generation_config.json", WEIGHTS, TOKENIZER};
  static contents kept[4];
  static const int32_t tokens[] = {1, 283, 7};
  bsoup_file files[4];
  bsoup_open_options options;
  bsoup_soup *soup = NULL;
  bsoup_blend *blend = NULL;
  bsoup_session *session = NULL;
  bsoup_status status;
  size_t i;
  memset(files, 0, sizeof files);
  for (i = 0; i < 4; i++) {
    if (!kept[i].data)
      kept[i] = read_file(fixture(name("models/llama3/%s", all[i])));
    files[i].name = all[i];
    files[i].data = strcmp(all[i], changed) ? kept[i].data : data;
    files[i].size = strcmp(all[i], changed) ? kept[i].size : size;
  }
  bsoup_open_options_init(&options, sizeof options);
  options.files = files;
  options.file_count = 4;
  status = bsoup_soup_open(NULL, "", &options, &soup);
  if (status == BSOUP_OK && bsoup_blend_create(soup, NULL, &blend) == BSOUP_OK &&
      bsoup_session_create(blend, NULL, &session) == BSOUP_OK && bsoup_session_append(session, tokens, 3) == BSOUP_OK)
    bsoup_decode(&session, 1, NULL);
  bsoup_session_free(session);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  return status != BSOUP_INTERNAL && (status == BSOUP_OK ? soup != NULL : soup == NULL && *bsoup_last_error());
}

static void sweep(const char *file, size_t header_size, int flips) {
  contents all = read_file(fixture(name("models/llama3/%s", file)));
  size_t end = header_size ? header_size : all.size, length;
  char *copy = malloc(all.size + 1);
  int i, whole = 0;
  NEED(copy != NULL);
  CHECK(survives(file, all.data, all.size));
  for (length = 0; length < end; length += 1 + end / 500) {
    /* a copy of just this size, so that a read beyond it shows under valgrind */
    char *shorter = malloc(length + 1);
    NEED(shorter != NULL);
    memcpy(shorter, all.data, length);
    if (!survives(file, shorter, length))
      CHECK(!"survives a cut"), printf("    %s, cut to %d: %s\n", file, (int)length, bsoup_last_error());
    free(shorter);
  }
  for (i = 0; i < flips; i++) {
    size_t at = random_below((uint32_t)end);
    uint32_t bit = random_below(8);
    memcpy(copy, all.data, all.size);
    copy[at] = (char)(copy[at] ^ (1 << bit));
    if (i % 4 == 3)
      copy[random_below((uint32_t)end)] = (char)random_below(256);
    if (!survives(file, copy, all.size))
      CHECK(!"survives a flipped bit"), printf("    %s, byte %d: %s\n", file, (int)at, bsoup_last_error());
    whole++;
  }
  CHECK(whole == flips);
  free(copy);
  free(all.data);
}

static void weights_cut_or_flipped_anywhere(void) { sweep(WEIGHTS, 8 + 2016, 800); }
static void configs_cut_or_flipped_anywhere(void) { sweep("config.json", 0, 800); }
static void end_tokens_cut_or_flipped_anywhere(void) { sweep("generation_config.json", 0, 200); }
static void tokenizers_cut_or_flipped_anywhere(void) { sweep(TOKENIZER, 0, 800); }

int main(void) {
  check_time_limit();
  RUN(weights_cut_or_flipped_anywhere);
  RUN(configs_cut_or_flipped_anywhere);
  RUN(end_tokens_cut_or_flipped_anywhere);
  RUN(tokenizers_cut_or_flipped_anywhere);
  return check_finish();
}
