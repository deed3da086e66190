/* Whatever can fail under the library fails: each allocation, each read_at, the memory budget. Nothing is lost. */
#include "check.h"
#include "files.h"
#include "model.h"

/* --- Allocations. A host's allocator that fails at the n-th call, or from it on. --- */

typedef struct {
  long calls, fail_at; /* the first call is 0 */
  int for_good;
  long blocks; /* given out and not taken back */
  size_t bytes;
  int wrong_size;
} heap;

/* Each block begins with its size, to see that it is given back with the same. */
enum { HEAD = 4096 };

static void *take(size_t bytes, size_t alignment, void *context) {
  heap *from = context;
  long call = __atomic_fetch_add(&from->calls, 1, __ATOMIC_SEQ_CST);
  char *block = NULL;
  if (from->for_good ? call >= from->fail_at : call == from->fail_at)
    return NULL;
  if (alignment > HEAD || posix_memalign((void **)&block, HEAD, bytes + HEAD))
    return NULL;
  memcpy(block, &bytes, sizeof bytes);
  __atomic_add_fetch(&from->blocks, 1, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&from->bytes, bytes, __ATOMIC_SEQ_CST);
  return block + HEAD;
}

static void give_back(void *pointer, size_t bytes, void *context) {
  heap *to = context;
  char *block = (char *)pointer - HEAD;
  to->wrong_size += memcmp(block, &bytes, sizeof bytes) != 0;
  __atomic_sub_fetch(&to->blocks, 1, __ATOMIC_SEQ_CST);
  __atomic_sub_fetch(&to->bytes, bytes, __ATOMIC_SEQ_CST);
  free(block);
}

/* All that takes memory, once through; the status of the first call that fails. */
static bsoup_status use_all(heap *memory, uint32_t load) {
  static const double mixed[] = {0.5, -0.25, 0.75};
  static const int32_t tokens[70] = {1, 2, 3};
  bsoup_engine_options engine_options;
  bsoup_open_options open;
  bsoup_blend_options how;
  bsoup_generate_options generate;
  bsoup_sampling_options sampling;
  bsoup_engine *engine = NULL;
  bsoup_soup *soup = NULL;
  bsoup_blend *live = NULL, *folded = NULL;
  bsoup_session *session = NULL, *fork = NULL, *sessions[2];
  bsoup_generation *texts[2] = {NULL, NULL};
  bsoup_generation *generation = NULL, *more = NULL;
  bsoup_status status;
  int32_t room[8];
  size_t count;
  bsoup_engine_options_init(&engine_options, sizeof engine_options);
  engine_options.thread_count = 1;
  engine_options.allocate = take;
  engine_options.deallocate = give_back;
  engine_options.allocator_context = memory;
  bsoup_open_options_init(&open, sizeof open);
  open.load = load;
  open.verify = BSOUP_VERIFY_FINITE;
  bsoup_blend_options_init(&how, sizeof how);
  how.coefficients = mixed;
  how.coefficient_count = 3;
  bsoup_generate_options_init(&generate, sizeof generate);
  bsoup_sampling_options_init(&sampling, sizeof sampling);
  sampling.temperature = 1;
  sampling.top_p = 0.9f;
  sampling.repetition_penalty = 1.1f;
  sampling.top_logprobs = 5;
  generate.sampling = &sampling;
  generate.max_tokens = 3;
  generate.ignore_end = 1;
  if (!(status = bsoup_engine_create(&engine_options, &engine)) &&
      !(status = bsoup_soup_open(engine, fixture("soups/llama3-lora"), &open, &soup)) &&
      !(status = bsoup_blend_create(soup, &how, &live)) && (how.kind = BSOUP_BLEND_FOLDED) && (how.background = 1) &&
      !(status = bsoup_blend_create(soup, &how, &folded)) && !(status = bsoup_blend_wait(folded, UINT32_MAX)) &&
      !(status = bsoup_soup_tokenize(soup, "The soup was", 12, 0, NULL, room, 8, &count)) &&
      !(status = bsoup_generate(folded, "The soup", 8, &generate, &generation)) &&
      !(status = bsoup_session_create(live, NULL, &session)) &&
      !(status = bsoup_session_generate(session, "The soup", 8, &generate, &more)) &&
      !(status = bsoup_session_append(session, tokens, 70)) && !(status = bsoup_session_fork(session, &fork)) &&
      !(status = bsoup_session_set_blend(fork, folded, BSOUP_RECOMPUTE))) {
    sessions[0] = session;
    sessions[1] = fork;
    if (!(status = bsoup_decode(sessions, 2, NULL)) && !(status = bsoup_session_begin(fork, &generate)) &&
        !(status = bsoup_session_begin(session, &generate)))
      status = bsoup_generate_batch(sessions, 2, NULL, texts);
  }
  bsoup_generation_free(texts[0]);
  bsoup_generation_free(texts[1]);
  bsoup_generation_free(generation);
  bsoup_generation_free(more);
  bsoup_session_free(session);
  bsoup_session_free(fork);
  bsoup_blend_free(live);
  bsoup_blend_free(folded);
  bsoup_soup_free(soup);
  bsoup_engine_free(engine);
  return status;
}

static void fail_each_allocation(int for_good, uint32_t load) {
  long n, last = 1;
  heap memory = {0, -1, 0, 0, 0, 0};
  NEED_OK(use_all(&memory, load)); /* how many there are */
  last = memory.calls;
  CHECK(last > 20 && memory.blocks == 0 && memory.bytes == 0);
  for (n = 0; n < last; n++) {
    bsoup_status status;
    memset(&memory, 0, sizeof memory);
    memory.fail_at = n;
    memory.for_good = for_good;
    status = use_all(&memory, load);
    /* One that a cache or a shorter way makes up for may still end well. */
    CHECK(status == BSOUP_OUT_OF_MEMORY || (status == BSOUP_OK && !for_good));
    if (!CHECK(memory.blocks == 0 && memory.bytes == 0 && memory.wrong_size == 0))
      printf("    allocation %ld of %ld: %ld blocks lost, %s\n", n, last, memory.blocks, bsoup_last_error());
  }
}

static void each_allocation_may_fail_once(void) { fail_each_allocation(0, BSOUP_LOAD_MAP); }
static void each_allocation_may_be_the_last(void) { fail_each_allocation(1, BSOUP_LOAD_COPY); }

static void *misaligned(size_t bytes, size_t alignment, void *context) {
  char *block = take(bytes + HEAD, alignment, context);
  return block ? block + 1 : NULL;
}

static void give_back_misaligned(void *pointer, size_t bytes, void *context) {
  give_back((char *)pointer - 1, bytes + HEAD, context);
}

static void an_allocator_that_does_not_align_is_refused(void) {
  heap memory = {0, -1, 0, 0, 0, 0};
  bsoup_engine_options options;
  bsoup_engine *engine = NULL;
  bsoup_soup *soup = NULL;
  bsoup_status status;
  bsoup_engine_options_init(&options, sizeof options);
  options.allocate = misaligned;
  options.deallocate = give_back_misaligned;
  options.allocator_context = &memory;
  status = bsoup_engine_create(&options, &engine);
  if (status == BSOUP_OK)
    status = bsoup_soup_open(engine, fixture("models/llama3"), NULL, &soup);
  CHECK(status == BSOUP_OUT_OF_MEMORY && soup == NULL);
  bsoup_engine_free(engine);
  CHECK(memory.calls > 0 && memory.blocks == 0 && memory.wrong_size == 0);
}

/* --- The budget --- */

static void a_budget_is_kept_and_named(void) {
  bsoup_engine_options options;
  bsoup_engine *engine = NULL;
  bsoup_soup *soup = NULL;
  bsoup_blend *blend = NULL, *more[64];
  uint64_t bytes;
  int count = 0;
  bsoup_status status = BSOUP_OK;
  bsoup_engine_options_init(&options, sizeof options);
  options.memory_budget = 4000000;
  NEED_OK(bsoup_engine_create(&options, &engine));
  NEED_OK(bsoup_soup_open(engine, fixture("soups/llama3-full"), NULL, &soup));
  while (count < 64 && !(status = bsoup_blend_create(soup, NULL, &more[count]))) {
    count++;
    OK(bsoup_engine_memory(engine, &bytes));
    CHECK(bytes <= 4000000);
  }
  CHECK(status == BSOUP_OUT_OF_MEMORY && count > 2 && count < 64 && strstr(bsoup_last_error(), "4000000"));
  bsoup_blend_free(more[0]);
  OK(bsoup_blend_create(soup, NULL, &blend)); /* there is room again */
  bsoup_blend_free(blend);
  while (count > 1)
    bsoup_blend_free(more[--count]);
  bsoup_soup_free(soup);
  OK(bsoup_engine_memory(engine, &bytes));
  CHECK(bytes == 0);
  bsoup_engine_free(engine);
  options.memory_budget = 1;
  NEED_OK(bsoup_engine_create(&options, &engine));
  FAILS(BSOUP_OUT_OF_MEMORY, bsoup_soup_open(engine, fixture("models/llama3"), NULL, &soup));
  bsoup_engine_free(engine);
}

/* --- Tables of files --- */

typedef struct {
  contents file;
  long calls, fail_at;
} source;

static long reads, failing_read;

static int32_t read_at(void *context, uint64_t offset, void *destination, size_t size) {
  source *from = context;
  if (__atomic_fetch_add(&reads, 1, __ATOMIC_SEQ_CST) == failing_read)
    return -5;
  if (offset > from->file.size || size > from->file.size - offset)
    return 1;
  memcpy(destination, from->file.data + offset, size);
  return 0;
}

static const char *const names[] = {"soup.json",
                                    "base/config.json",
                                    "base/generation_config.json",
                                    "base/model.safetensors",
                                    "base/tokenizer.json",
                                    "backbones/0/config.json",
                                    "backbones/0/model.safetensors",
                                    "backbones/1/adapter_config.json",
                                    "backbones/1/adapter_model.safetensors"};
static const char *const origins[] = {"",
                                      "models/llama3/config.json",
                                      "models/llama3/generation_config.json",
                                      "models/llama3/model.safetensors",
                                      "models/llama3/tokenizer.json",
                                      "soups/llama3-full/backbones/0/config.json",
                                      "soups/llama3-full/backbones/0/model.safetensors",
                                      "models/llama3/adapters/plain/adapter_config.json",
                                      "models/llama3/adapters/plain/adapter_model.safetensors"};
enum { FILES = 9 };
static source sources[FILES];
static bsoup_file table[FILES + 1];
static bsoup_open_options from_table;

/* A soup of a full backbone and an adapter, in memory (odd files) and behind read_at (even ones). */
static void make_table(int all_read) {
  static const char json[] = "{\"bonesoup\":1,\"base\":\"base\",\"objectives\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
                             "\"backbones\":[{\"path\":\"backbones/0\"},{\"path\":\"backbones/../backbones/1\"}],"
                             "\"matrix\":{\"rule\":\"identity\"}}";
  int i;
  memset(table, 0, sizeof table);
  for (i = 0; i < FILES; i++) {
    if (!sources[i].file.data)
      sources[i].file = i ? read_file(fixture(origins[i])) : (contents){strdup(json), strlen(json)};
    table[i].name = names[i];
    table[i].size = sources[i].file.size;
    if (all_read || i % 2 == 0) {
      table[i].read_at = read_at;
      table[i].context = &sources[i];
    } else {
      table[i].data = sources[i].file.data;
    }
  }
  reads = 0;
  failing_read = -1;
  bsoup_open_options_init(&from_table, sizeof from_table);
  from_table.files = table;
  from_table.file_count = FILES;
}

static void a_table_gives_the_bits_of_the_folder(void) {
  static const int32_t tokens[] = {5, 80, 270, 31};
  static const double mixed[] = {0.7, -0.4};
  bsoup_soup *tabled = NULL, *built = open_soup(NULL, fixture("models/llama3"));
  bsoup_blend *one, *other;
  OK(bsoup_soup_add_backbone(built, fixture("soups/llama3-full/backbones/0"), NULL, NULL));
  OK(bsoup_soup_add_backbone(built, fixture("models/llama3/adapters/plain"), NULL, NULL));
  make_table(0);
  NEED_OK(bsoup_soup_open(NULL, "", &from_table, &tabled));
  CHECK(reads > 0);
  reads = 0;
  one = blend_of_coefficients(tabled, BSOUP_BLEND_FOLDED, mixed, 2);
  other = blend_of_coefficients(built, BSOUP_BLEND_FOLDED, mixed, 2);
  CHECK(blends_agree(one, other, tokens, 4));
  CHECK(reads == 0); /* only during the open */
  bsoup_blend_free(one);
  bsoup_blend_free(other);
  bsoup_soup_free(tabled);
  OK(bsoup_soup_open(NULL, "soup.json", &from_table, &tabled));
  bsoup_soup_free(tabled);
  OK(bsoup_soup_open(NULL, "base", &from_table, &tabled)); /* a plain model in it */
  bsoup_soup_free(tabled);
  OK(bsoup_soup_add_backbone(built, "backbones/1", &from_table, NULL));
  bsoup_soup_free(built);
}

static void each_read_may_fail(void) {
  bsoup_soup *soup = NULL;
  bsoup_status status = BSOUP_IO;
  uint64_t before, after;
  long n;
  OK(bsoup_engine_memory(NULL, &before));
  for (n = 0; n < 100000; n++) {
    make_table(1);
    failing_read = n;
    status = bsoup_soup_open(NULL, "", &from_table, &soup);
    if (status == BSOUP_OK)
      break;
    CHECK(status == BSOUP_IO && soup == NULL && strstr(bsoup_last_error(), "read_at"));
  }
  CHECK(status == BSOUP_OK && n >= FILES);
  bsoup_soup_free(soup);
  OK(bsoup_engine_memory(NULL, &after));
  CHECK(before == after);
}

static void tables_are_looked_at(void) {
  bsoup_soup *soup;
  make_table(0);
  table[3].name = NULL;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_open(NULL, "", &from_table, &soup));
  make_table(0);
  table[3].name = names[1];
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "base/config.json", bsoup_soup_open(NULL, "", &from_table, &soup));
  make_table(0);
  table[3].data = NULL;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "base/model.safetensors", bsoup_soup_open(NULL, "", &from_table, &soup));
  make_table(0);
  table[3].name = "../base/model.safetensors";
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, table[3].name, bsoup_soup_open(NULL, "", &from_table, &soup));
  make_table(0);
  table[3].name = "base/model.safetensor";
  FAILS_SAYING(BSOUP_NOT_FOUND, "model.safetensors", bsoup_soup_open(NULL, "", &from_table, &soup));
  make_table(1);
  table[3].size = UINT64_MAX; /* more than any memory */
  CHECK(bsoup_soup_open(NULL, "", &from_table, &soup) != BSOUP_OK && soup == NULL);
  table[3].size = UINT64_C(1) << 45;
  CHECK(bsoup_soup_open(NULL, "", &from_table, &soup) != BSOUP_OK && soup == NULL);
  make_table(1);
  table[3].size += 1; /* more than there is: read_at says so */
  FAILS_SAYING(BSOUP_IO, "base/model.safetensors", bsoup_soup_open(NULL, "", &from_table, &soup));
  make_table(0);
  from_table.files = NULL;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_open(NULL, "", &from_table, &soup));
  make_table(0);
  from_table.file_count = 65537;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "65537", bsoup_soup_open(NULL, "", &from_table, &soup));
  make_table(0);
  FAILS_SAYING(BSOUP_NOT_FOUND, "elsewhere", bsoup_soup_open(NULL, "elsewhere", &from_table, &soup));
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_open(NULL, fixture("models/llama3"), &from_table, &soup)); /* no file system */
#define BAD(field, value)                                                                                              \
  make_table(0);                                                                                                       \
  from_table.field = value;                                                                                            \
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, #field, bsoup_soup_open(NULL, "", &from_table, &soup))
  BAD(weights, 99);
  BAD(load, 2);
  BAD(verify, 4);
}

int main(void) {
  int i;
  check_time_limit();
  RUN(each_allocation_may_fail_once);
  RUN(each_allocation_may_be_the_last);
  RUN(an_allocator_that_does_not_align_is_refused);
  RUN(a_budget_is_kept_and_named);
  RUN(a_table_gives_the_bits_of_the_folder);
  RUN(each_read_may_fail);
  RUN(tables_are_looked_at);
  for (i = 0; i < FILES; i++)
    free(sources[i].file.data);
  return check_finish();
}
