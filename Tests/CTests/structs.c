/* The sizes of option and info structs: what an older or a newer program gets, and defaults. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <math.h>

static bsoup_soup *soup;
static bsoup_blend *blend;
static bsoup_session *session;
static bsoup_generation *generation;
static bsoup_comparison *comparison;

/* --- Options --- */

/* Room behind each struct for the fields of a later header. */
enum { TAIL = 64 };

static void init_engine(void *it, size_t size) { bsoup_engine_options_init(it, size); }
static void init_open(void *it, size_t size) { bsoup_open_options_init(it, size); }
static void init_objective(void *it, size_t size) {
  bsoup_objective_options_init(it, size);
  if (it && size >= sizeof(bsoup_objective_options))
    ((bsoup_objective_options *)it)->name = "taste";
}
static void init_blend(void *it, size_t size) { bsoup_blend_options_init(it, size); }
static void init_sampling(void *it, size_t size) { bsoup_sampling_options_init(it, size); }
static void init_generate(void *it, size_t size) { bsoup_generate_options_init(it, size); }
static void init_session(void *it, size_t size) { bsoup_session_options_init(it, size); }
static void init_decode(void *it, size_t size) { bsoup_decode_options_init(it, size); }

static void init_export(void *it, size_t size) { bsoup_export_options_init(it, size); }
static void init_factor(void *it, size_t size) { bsoup_factor_options_init(it, size); }
static void init_compare(void *it, size_t size) { bsoup_compare_options_init(it, size); }

static bsoup_status use_engine(const void *it) {
  bsoup_engine *made = NULL;
  bsoup_status status = bsoup_engine_create(it, &made);
  CHECK((made != NULL) == (status == BSOUP_OK));
  bsoup_engine_free(made);
  return status;
}
static bsoup_status use_open(const void *it) {
  bsoup_soup *made = NULL;
  bsoup_status status = bsoup_soup_open(NULL, fixture("models/llama3"), it, &made);
  CHECK((made != NULL) == (status == BSOUP_OK));
  bsoup_soup_free(made);
  return status;
}
static bsoup_status use_objective(const void *it) {
  bsoup_soup *own = open_soup(NULL, fixture("models/llama3"));
  bsoup_status status = bsoup_soup_add_objective(own, it, NULL);
  bsoup_soup_free(own);
  return status;
}
static bsoup_status use_blend(const void *it) {
  bsoup_blend *made = NULL;
  bsoup_status status = bsoup_blend_create(soup, it, &made);
  CHECK((made != NULL) == (status == BSOUP_OK));
  bsoup_blend_free(made);
  return status;
}
static bsoup_status use_sampling(const void *it) {
  bsoup_generate_options how;
  bsoup_generate_options_init(&how, sizeof how);
  how.sampling = it;
  how.max_tokens = 1;
  return bsoup_generate(blend, "as", 2, &how, NULL);
}
static bsoup_status use_generate(const void *it) { return bsoup_generate(blend, "as", 2, it, NULL); }
static bsoup_status use_session(const void *it) {
  bsoup_session *made = NULL;
  bsoup_status status = bsoup_session_create(blend, it, &made);
  CHECK((made != NULL) == (status == BSOUP_OK));
  bsoup_session_free(made);
  return status;
}
static bsoup_status use_decode(const void *it) { return bsoup_decode(&session, 1, it); }

static bsoup_status use_export(const void *it) {
  uint64_t bytes;
  return bsoup_soup_export_size(soup, NULL, it, &bytes);
}
/* Of a low-rank backbone, which is refused after the options were read. */
static bsoup_status use_factor(const void *it) {
  bsoup_status status = bsoup_backbone_factor(soup, 0, "not-made", it, NULL);
  return strstr(bsoup_last_error(), "low-rank already") ? BSOUP_OK : status;
}
static bsoup_status use_compare(const void *it) {
  bsoup_comparison *made = NULL;
  bsoup_status status = bsoup_soup_compare(soup, it, &made);
  CHECK((made != NULL) == (status == BSOUP_OK));
  bsoup_comparison_free(made);
  return status;
}

static const struct options {
  const char *name;
  size_t size;
  size_t reserved; /* offset of the reserved field; 0: none */
  size_t oldest;   /* its size in 1.0; 0: as now */
  void (*init)(void *it, size_t size);
  bsoup_status (*use)(const void *it);
} options[] = {
    {"engine", sizeof(bsoup_engine_options), 0, 0, init_engine, use_engine},
    {"open", sizeof(bsoup_open_options), offsetof(bsoup_open_options, reserved), 0, init_open, use_open},
    {"objective", sizeof(bsoup_objective_options), 0, 0, init_objective, use_objective},
    {"blend", sizeof(bsoup_blend_options), 0, offsetof(bsoup_blend_options, method), init_blend, use_blend},
    {"sampling", sizeof(bsoup_sampling_options), offsetof(bsoup_sampling_options, reserved), 0, init_sampling,
     use_sampling},
    {"generate", sizeof(bsoup_generate_options), offsetof(bsoup_generate_options, reserved),
     offsetof(bsoup_generate_options, response_only), init_generate, use_generate},
    {"session", sizeof(bsoup_session_options), offsetof(bsoup_session_options, reserved), 0, init_session, use_session},
    {"decode", sizeof(bsoup_decode_options), offsetof(bsoup_decode_options, reserved), 0, init_decode, use_decode},
    {"export", sizeof(bsoup_export_options), offsetof(bsoup_export_options, reserved), 0, init_export, use_export},
    {"factor", sizeof(bsoup_factor_options), 0, 0, init_factor, use_factor},
    {"compare", sizeof(bsoup_compare_options), offsetof(bsoup_compare_options, reserved), 0, init_compare, use_compare},
};

static uint32_t stated_size(const void *it) {
  uint32_t size;
  memcpy(&size, it, sizeof size);
  return size;
}

static void test_options(const struct options *kind) {
  char bytes[512];
  uint32_t size = (uint32_t)(kind->oldest ? kind->oldest : kind->size), small, one = 1;
  size_t i;
  NEED(kind->size + TAIL <= sizeof bytes);

  kind->init(bytes, kind->size);
  CHECK(stated_size(bytes) == kind->size);
  OK(kind->use(bytes));

  /* Of a program that was built with a later header: fields it left alone, then one it set. */
  memset(bytes, 0xAA, sizeof bytes);
  kind->init(bytes, kind->size + TAIL);
  CHECK(stated_size(bytes) == kind->size + TAIL);
  OK(kind->use(bytes));
  for (i = kind->size + TAIL; i < sizeof bytes; i++)
    CHECK(bytes[i] == (char)0xAA);
  bytes[kind->size + TAIL - 1] = 1;
  FAILS_SAYING(BSOUP_UNSUPPORTED, name("%s_options", kind->name), kind->use(bytes));

  /* Of a program that was built with the header of 1.0: what lies behind its struct is not looked at. */
  memset(bytes, 0xAA, sizeof bytes);
  kind->init(bytes, size);
  CHECK(stated_size(bytes) == size && bytes[size] == (char)0xAA);
  OK(kind->use(bytes));

  /* Too small to be of any version. */
  for (small = 0; small < size; small += small < 4 ? 1 : size - 5) {
    kind->init(bytes, kind->size);
    memcpy(bytes, &small, sizeof small);
    FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "struct_size", kind->use(bytes));
  }
  memset(bytes, 0xAA, sizeof bytes);
  kind->init(bytes, 0);
  kind->init(NULL, kind->size);
  CHECK(bytes[0] == (char)0xAA);

  if (kind->reserved) {
    kind->init(bytes, kind->size);
    memcpy(bytes + kind->reserved, &one, sizeof one);
    FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "reserved", kind->use(bytes));
  }
}

static void defaults_are_as_documented(void) {
  bsoup_engine_options engine;
  bsoup_open_options open;
  bsoup_objective_options objective;
  bsoup_sampling_options sampling;
  bsoup_generate_options generate;
  bsoup_export_options export;
  bsoup_factor_options factor;
  memset(&engine, 0xAA, sizeof engine);
  bsoup_engine_options_init(&engine, sizeof engine);
  CHECK(engine.thread_count == 0 && engine.memory_budget == 0 && engine.spin_microseconds == 50 && !engine.cpus);
  CHECK(!engine.allocate && !engine.deallocate && !engine.log && !engine.cpu_count);
  memset(&open, 0xAA, sizeof open);
  bsoup_open_options_init(&open, sizeof open);
  CHECK(!open.weights && !open.load && !open.verify && !open.files && !open.file_count && !open.cancel);
  memset(&objective, 0xAA, sizeof objective);
  bsoup_objective_options_init(&objective, sizeof objective);
  CHECK(!objective.has_default && !objective.name && !objective.label && !objective.description);
  CHECK(objective.minimum == 0 && objective.maximum == 1 && objective.step == 0.01);
  memset(&sampling, 0xAA, sizeof sampling);
  bsoup_sampling_options_init(&sampling, sizeof sampling);
  CHECK(sampling.temperature == 0 && sampling.top_k == 0 && sampling.top_p == 1 && sampling.min_p == 0);
  CHECK(sampling.repetition_penalty == 1 && sampling.penalty_window == -1 && !sampling.hook && !sampling.logit_bias);
  memset(&generate, 0xAA, sizeof generate);
  bsoup_generate_options_init(&generate, sizeof generate);
  CHECK(generate.max_tokens == 256 && generate.tokenize == BSOUP_TOKENIZE_SPECIAL && !generate.sampling);
  CHECK(!generate.on_text && !generate.cancel && !generate.stop_strings && !generate.stop_tokens);
  CHECK(!generate.response_only && !generate.reserved);
  memset(&export, 0xAA, sizeof export);
  bsoup_export_options_init(&export, sizeof export);
  CHECK(export.kind == BSOUP_EXPORT_FOLDER && !export.format && !export.rank && !export.shard_size);
  CHECK(!export.base_name && !export.skip_hashes && !export.cancel && !export.progress);
  memset(&factor, 0xAA, sizeof factor);
  bsoup_factor_options_init(&factor, sizeof factor);
  CHECK(!factor.rank && factor.max_error == 0.1 && !factor.format && factor.vectors == BSOUP_VECTORS_REFUSE);
}

/* --- Infos --- */

static bsoup_status get_soup(void *it) { return bsoup_soup_get_info(soup, it); }
static bsoup_status get_objective(void *it) { return bsoup_soup_objective(soup, 0, it); }
static bsoup_status get_backbone(void *it) { return bsoup_soup_backbone(soup, 0, it); }
static bsoup_status get_blend(void *it) { return bsoup_blend_get_info(blend, it); }
static bsoup_status get_solution(void *it) { return bsoup_soup_solve(soup, NULL, NULL, NULL, it); }
static bsoup_status get_generation(void *it) { return bsoup_generation_get_info(generation, it); }
static bsoup_status get_session(void *it) { return bsoup_session_get_info(session, it); }
static bsoup_status get_step(void *it) {
  bsoup_status status;
  OK(decode_one(session));
  status = bsoup_session_next(session, it);
  OK(bsoup_session_rewind(session, 1));
  OK(decode_one(session));
  return status;
}

static bsoup_status get_comparison(void *it) { return bsoup_comparison_get_info(comparison, it); }
static bsoup_status get_compared(void *it) { return bsoup_comparison_tensor(comparison, 0, it); }

static const struct info {
  const char *name;
  size_t size;
  bsoup_status (*get)(void *it);
  int optional;  /* NULL is "not wanted" */
  size_t oldest; /* its size in 1.0; 0: as now */
} infos[] = {
    {"soup", sizeof(bsoup_soup_info), get_soup, 0, 0},
    {"objective", sizeof(bsoup_objective_info), get_objective, 0, 0},
    {"backbone", sizeof(bsoup_backbone_info), get_backbone, 0, 0},
    {"blend", sizeof(bsoup_blend_info), get_blend, 0, 0},
    {"solution", sizeof(bsoup_blend_info), get_solution, 1, 0},
    {"generation", sizeof(bsoup_generation_info), get_generation, 0, 0},
    {"session", sizeof(bsoup_session_info), get_session, 0, offsetof(bsoup_session_info, response_start)},
    {"step", sizeof(bsoup_step), get_step, 0, 0},
    {"comparison", sizeof(bsoup_comparison_info), get_comparison, 0, 0},
    {"compared tensor", sizeof(bsoup_compared_tensor), get_compared, 0, 0},
};

static void test_info(const struct info *kind) {
  char bytes[512], before[512];
  uint32_t size, i;
  NEED(kind->size + TAIL <= sizeof bytes);

  memset(bytes, 0xAA, sizeof bytes);
  size = (uint32_t)kind->size;
  memcpy(bytes, &size, sizeof size);
  OK(kind->get(bytes));
  CHECK(stated_size(bytes) == kind->size);
  for (i = (uint32_t)kind->size; i < sizeof bytes; i++)
    CHECK(bytes[i] == (char)0xAA);

  size += TAIL;
  memset(bytes, 0xAA, sizeof bytes);
  memcpy(bytes, &size, sizeof size);
  OK(kind->get(bytes));
  CHECK(stated_size(bytes) == kind->size);
  for (i = (uint32_t)kind->size; i < size; i++)
    CHECK(bytes[i] == 0);
  for (i = size; i < sizeof bytes; i++)
    CHECK(bytes[i] == (char)0xAA);

  size = (uint32_t)(kind->oldest ? kind->oldest : kind->size);
  memset(bytes, 0xAA, sizeof bytes);
  memcpy(bytes, &size, sizeof size);
  OK(kind->get(bytes));
  CHECK(stated_size(bytes) == kind->size);
  for (i = size; i < sizeof bytes; i++)
    CHECK(bytes[i] == (char)0xAA);

  for (size = 0; size < 5; size += 4) {
    memset(bytes, 0xAA, sizeof bytes);
    memcpy(bytes, &size, sizeof size);
    memcpy(before, bytes, sizeof bytes);
    FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "struct_size", kind->get(bytes));
    CHECK(!memcmp(before, bytes, sizeof bytes));
  }
  if (kind->optional)
    OK(kind->get(NULL));
  else
    FAILS(BSOUP_INVALID_ARGUMENT, kind->get(NULL));
}

int main(void) {
  size_t i;
  int32_t token = 5;
  check_time_limit();
  check_begin("setting up");
  soup = open_soup(NULL, fixture("soups/llama3-lora"));
  blend = default_blend(soup);
  session = new_session(blend);
  OK(bsoup_session_append(session, &token, 1));
  OK(bsoup_generate(blend, "as", 2, NULL, &generation));
  OK(bsoup_soup_compare(soup, NULL, &comparison));
  check_end();
  RUN(defaults_are_as_documented);
  for (i = 0; i < sizeof options / sizeof *options; i++) {
    check_begin(options[i].name);
    test_options(&options[i]);
    check_end();
  }
  for (i = 0; i < sizeof infos / sizeof *infos; i++) {
    check_begin(infos[i].name);
    test_info(&infos[i]);
    check_end();
  }
  bsoup_comparison_free(comparison);
  bsoup_generation_free(generation);
  bsoup_session_free(session);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  return check_finish();
}
