/* Every block of memory ends at a page that cannot be touched and begins as NaN: a read or write behind its end is a
 * crash, and one of what was never written shows in the bits. All fixtures, formats and kinds of blend go through it. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <sys/mman.h>

enum { PAGE = 4096 };

static long live_blocks;

static size_t pages_of(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static void *fenced(size_t bytes, size_t alignment, void *context) {
  size_t inside = pages_of(bytes);
  char *pages;
  (void)context;
  if (alignment > PAGE)
    return NULL;
  pages = mmap(NULL, inside + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED)
    return NULL;
  memset(pages, 0xFF, inside);
  if (mprotect(pages + inside, PAGE, PROT_NONE))
    return NULL;
  __atomic_add_fetch(&live_blocks, 1, __ATOMIC_RELAXED);
  return (void *)((uintptr_t)(pages + inside - bytes) & ~(uintptr_t)(alignment - 1));
}

static void unfenced(void *pointer, size_t bytes, void *context) {
  (void)context;
  munmap((void *)((uintptr_t)pointer & ~(uintptr_t)(PAGE - 1)), pages_of(bytes) + PAGE);
  __atomic_sub_fetch(&live_blocks, 1, __ATOMIC_RELAXED);
}

static bsoup_engine *fences(uint32_t threads) {
  bsoup_engine *engine = NULL;
  bsoup_engine_options options;
  bsoup_engine_options_init(&options, sizeof options);
  options.thread_count = threads;
  options.allocate = fenced;
  options.deallocate = unfenced;
  OK(bsoup_engine_create(&options, &engine));
  return engine;
}

/* Logits after a prompt and after single steps, and those of a batch with another blend. */
typedef struct {
  float logits[4][300];
  size_t count;
} record;

static void keep(bsoup_session *session, float *to, size_t *count) {
  float *logits = copy_logits(session, count);
  if (CHECK(logits && *count <= 300))
    memcpy(to, logits, *count * sizeof *logits);
  free(logits);
}

static void use(bsoup_engine *engine, const char *path, uint32_t format, uint32_t load, uint32_t kind, record *out) {
  bsoup_open_options open;
  bsoup_blend_options how;
  bsoup_soup *soup = NULL;
  bsoup_blend *blends[2] = {NULL, NULL};
  bsoup_session *sessions[2];
  bsoup_generation *texts[2];
  bsoup_generate_options five;
  bsoup_soup_info info = {.struct_size = sizeof info};
  double coefficients[8] = {0.75, -0.5, 1.25};
  int32_t tokens[70];
  int i, step;
  memset(out, 0, sizeof *out);
  bsoup_open_options_init(&open, sizeof open);
  open.weights = format;
  open.load = load;
  open.verify = BSOUP_VERIFY_FINITE;
  NEED_OK(bsoup_soup_open(engine, path, &open, &soup));
  NEED_OK(bsoup_soup_get_info(soup, &info));
  bsoup_blend_options_init(&how, sizeof how);
  how.kind = kind;
  how.coefficients = coefficients;
  how.coefficient_count = info.backbone_count;
  NEED_OK(bsoup_blend_create(soup, &how, &blends[0]));
  coefficients[0] = -1;
  NEED_OK(bsoup_blend_create(soup, &how, &blends[1]));
  for (i = 0; i < 70; i++)
    tokens[i] = (int32_t)((uint32_t)(69 - i) * 37 % info.vocabulary);
  tokens[3] = (int32_t)info.vocabulary - 1; /* the last row of the embedding */
  for (i = 0; i < 2; i++) {
    sessions[i] = new_session(blends[i]);
    OK(bsoup_session_append(sessions[i], tokens + i, 69));
  }
  OK(bsoup_decode(sessions, 2, NULL));
  keep(sessions[0], out->logits[0], &out->count);
  keep(sessions[1], out->logits[1], &out->count);
  for (step = 0; step < 3; step++) {
    OK(bsoup_session_append(sessions[0], tokens + step, 2));
    OK(decode_one(sessions[0]));
  }
  keep(sessions[0], out->logits[2], &out->count);
  OK(bsoup_session_append(sessions[1], tokens + 3, 1));
  OK(decode_one(sessions[1]));
  keep(sessions[1], out->logits[3], &out->count);
  bsoup_generate_options_init(&five, sizeof five);
  five.max_tokens = 5;
  for (i = 0; i < 2; i++)
    OK(bsoup_session_begin(sessions[i], &five));
  OK(bsoup_generate_batch(sessions, 2, NULL, texts));
  for (i = 0; i < 2; i++)
    bsoup_generation_free(texts[i]);
  for (i = 0; i < 2; i++) {
    if (info.has_tokenizer)
      OK(bsoup_session_generate(sessions[i], " was \xF0\x9F\x8D\xB2", 9, NULL, NULL));
    bsoup_session_free(sessions[i]);
    bsoup_blend_free(blends[i]);
  }
  bsoup_soup_free(soup);
}

static void test_path(const char *path) {
  static const uint32_t formats[] = {BSOUP_FORMAT_DEFAULT, BSOUP_FORMAT_F32, BSOUP_FORMAT_F16, BSOUP_FORMAT_BF16};
  bsoup_soup *soup = open_soup(NULL, path);
  bsoup_soup_info info = {.struct_size = sizeof info};
  int i;
  uint32_t kind;
  NEED_OK(bsoup_soup_get_info(soup, &info));
  bsoup_soup_free(soup);
  for (i = 0; i < 4; i++)
    for (kind = BSOUP_BLEND_FOLDED; kind <= BSOUP_BLEND_FOLDED + info.live; kind++) {
      record usual, fence;
      bsoup_engine *engine = fences(1 + (uint32_t)i % 2);
      use(NULL, path, formats[i], BSOUP_LOAD_MAP, kind, &usual);
      use(engine, path, formats[i], BSOUP_LOAD_COPY, kind, &fence);
      CHECK(usual.count == info.vocabulary && !memcmp(&usual, &fence, sizeof usual));
      bsoup_engine_free(engine);
      CHECK(live_blocks == 0);
    }
}

int main(void) {
  static const char *const paths[] = {
      "models/llama2",          "models/llama2-sharded", "models/llama3",       "models/llama3-rope-parameters",
      "models/llama3-bf16",     "models/mistral-f16",    "models/llama-linear", "models/qwen2",
      "models/qwen2-window",    "models/qwen3",          "models/qwen3-window", "models/mistral",
      "models/smollm",          "soups/llama3-full",     "soups/llama3-lora",   "soups/qwen2-lora",
      "soups/llama2-embeddings"};
  size_t i;
  check_time_limit();
  for (i = 0; i < sizeof paths / sizeof *paths; i++) {
    check_begin(paths[i]);
    printf("%s\n", paths[i]); /* the last line of a crash */
    fflush(stdout);
    test_path(fixture(paths[i]));
    check_end();
  }
  return check_finish();
}
