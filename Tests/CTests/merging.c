/* Chapter 12: what methods there are, plans, merges of files, methods of the host's own, slices, refusals. */
#include "check.h"
#include "files.h"
#include <math.h>

#define UP "model.layers.0.mlp.up_proj.weight"
enum { PARAMETERS = 8, ELEMENTS = 12 * 8 + 20 * 8 + 8 * 20 + 8 * 8 + 8 + 8 };

static const char *base, *tunes[3];
static bsoup_engine *engine;

/* Options of a merge of the three tunes into f32, each with weight 1, and with density 0.5. */
typedef struct {
  bsoup_merge_options options;
  bsoup_merge_parameter parameters[PARAMETERS];
  double values[PARAMETERS];
} recipe;

static void set(recipe *merge, const char *parameter, double value, int32_t model) {
  uint32_t index = merge->options.parameter_count++;
  merge->values[index] = value;
  merge->parameters[index].name = parameter;
  merge->parameters[index].filter = NULL;
  merge->parameters[index].values = &merge->values[index];
  merge->parameters[index].value_count = 1;
  merge->parameters[index].model = model;
}

static void start(recipe *merge, const char *method) {
  bsoup_merge_options_init(&merge->options, sizeof merge->options);
  merge->options.method = method;
  merge->options.base = base;
  merge->options.models = tunes;
  merge->options.model_count = 3;
  merge->options.parameters = merge->parameters;
  merge->options.format = BSOUP_FORMAT_F32;
  set(merge, "weight", 1, -1);
}

/* The merged tensor; free() it. */
static float *merged(const char *folder, const char *tensor, size_t *count) {
  return read_tensor(name("%s/model.safetensors", folder), tensor, count);
}

static void every_method_says_what_it_takes(void) {
  bsoup_method_info method;
  bsoup_parameter_info parameter;
  uint32_t index, number, found = 0, random = 0;
  memset(&method, 0, sizeof method);
  method.struct_size = sizeof method;
  parameter.struct_size = sizeof parameter;
  for (index = 0; bsoup_method_get_info(index, &method) == BSOUP_OK; index++) {
    CHECK(method.name[0] && method.summary[0] && method.base <= BSOUP_METHOD_BASE_REQUIRED);
    CHECK(method.min_models >= 1 && method.min_models <= method.max_models && method.max_models <= 64);
    CHECK(method.negative <= BSOUP_NEGATIVE_FACTOR && method.for_soups <= 1 && method.random <= 1);
    for (number = 0; number < method.parameter_count; number++) {
      NEED_OK(bsoup_method_parameter(index, number, &parameter));
      CHECK(parameter.name[0] && parameter.summary[0] && parameter.minimum <= parameter.maximum);
      CHECK(parameter.is_required
                ? isnan(parameter.default_value)
                : parameter.default_value >= parameter.minimum && parameter.default_value <= parameter.maximum);
      CHECK(!parameter.is_flag || (parameter.minimum == 0 && parameter.maximum == 1));
    }
    FAILS(BSOUP_NOT_FOUND, bsoup_method_parameter(index, number, &parameter));
    found += !strcmp(method.name, "ties") && method.base == BSOUP_METHOD_BASE_REQUIRED && method.for_soups;
    random += method.random;
  }
  CHECK(index == 17 && found == 1 && random == 4);
  FAILS(BSOUP_NOT_FOUND, bsoup_method_get_info(index, &method));
  FAILS(BSOUP_NOT_FOUND, bsoup_method_get_info(UINT32_MAX, &method));
  FAILS(BSOUP_NOT_FOUND, bsoup_method_parameter(index, 0, &parameter));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_method_get_info(0, NULL));
  method.struct_size = 3;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_method_get_info(0, &method));
}

static int32_t follow(const bsoup_merge_progress *progress, void *context) {
  double *last = context;
  CHECK(progress->struct_size >= sizeof *progress && progress->share >= *last && progress->share <= 1);
  CHECK(progress->seconds >= 0 && (isnan(progress->seconds_left) || progress->seconds_left >= 0));
  *last = progress->share;
  return 0;
}

static void a_plan_is_what_the_merge_does(void) {
  recipe merge = {0};
  bsoup_merge_info plan = {0}, other = {0};
  const char *out = scratch("ties");
  double last = 0;
  size_t count, i, kept = 0;
  float *values, *before;
  plan.struct_size = other.struct_size = sizeof plan;
  start(&merge, "ties");
  set(&merge, "density", 0.5, -1);
  NEED_OK(bsoup_merge_plan(engine, &merge.options, &plan));
  CHECK(plan.tensor_count == 6 && plan.output_size == 4 * ELEMENTS && plan.peak_memory > 0);
  CHECK(strlen(plan.fingerprint) == 64 && access(out, F_OK) != 0);
  merge.options.progress = follow;
  merge.options.progress_context = &last;
  NEED_OK(bsoup_merge_files(engine, out, &merge.options));
  CHECK(last == 1);
  values = merged(out, UP, &count);
  before = read_tensor(name("%s/model.safetensors", base), UP, &i);
  for (i = 0; i < count; i++)
    kept += values[i] != before[i];
  CHECK(count == 160 && kept > 80 && kept < 160);
  free(values);
  free(before);
  /* Another parameter, seed or format is another merge; the folder's name is not. */
  merge.values[1] = 0.25;
  OK(bsoup_merge_plan(engine, &merge.options, &other));
  CHECK(strcmp(plan.fingerprint, other.fingerprint) != 0);
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "exists already", bsoup_merge_files(engine, out, &merge.options));
}

static int32_t largest(const bsoup_merge_block *block, void *context) {
  uint64_t i;
  uint32_t model;
  CHECK(block->struct_size >= sizeof *block && block->model_count == 3 && block->base && block->tensor[0]);
  CHECK(block->weights[0] == 1 && block->weights[1] == 5 && block->offset + block->count <= 160);
  for (i = 0; i < block->count; i++) {
    block->result[i] = block->base[i];
    for (model = 0; model < block->model_count; model++)
      block->result[i] = fmaxf(block->result[i], block->models[model][i]);
  }
  __atomic_add_fetch((uint64_t *)context, block->count, __ATOMIC_RELAXED);
  return 0;
}

static int32_t refuse(const bsoup_merge_block *block, void *context) {
  (void)block, (void)context;
  return 7;
}

static void a_method_of_the_hosts_own_sees_every_element_once(void) {
  recipe merge = {0};
  uint64_t seen = 0;
  size_t count, i;
  float *values, *model;
  start(&merge, "largest");
  set(&merge, "weight", 5, 1);
  merge.options.merge_block = largest;
  merge.options.block_context = &seen;
  NEED_OK(bsoup_merge_files(engine, scratch("own"), &merge.options));
  CHECK(seen == ELEMENTS);
  values = merged(scratch("own"), UP, &count);
  model = read_tensor(name("%s/model.safetensors", tunes[2]), UP, &i);
  for (i = 0; i < count; i++)
    CHECK(values[i] >= model[i]);
  free(values);
  free(model);
  merge.options.merge_block = refuse;
  FAILS(BSOUP_CANCELLED, bsoup_merge_files(engine, scratch("refused"), &merge.options));
  CHECK(access(scratch("refused"), F_OK) != 0);
}

static void a_seed_decides_and_threads_do_not(void) {
  static const uint64_t seeds[] = {1, 1, 2};
  char *files[3];
  int i;
  for (i = 0; i < 3; i++) {
    recipe merge = {0};
    bsoup_engine_options how;
    bsoup_engine *own = NULL;
    const char *out = scratch(name("seed-%d", i));
    bsoup_engine_options_init(&how, sizeof how);
    how.thread_count = 1 + (uint32_t)i;
    NEED_OK(bsoup_engine_create(&how, &own));
    start(&merge, "dare_ties");
    set(&merge, "density", 0.5, -1);
    merge.options.seed = seeds[i];
    OK(bsoup_merge_files(own, out, &merge.options));
    bsoup_engine_free(own);
    files[i] = read_file(name("%s/model.safetensors", out)).data;
  }
  CHECK(memcmp(files[0], files[1], 4 * ELEMENTS) == 0);
  /* Behind the header, which is the same. */
  CHECK(memcmp(files[0] + 1024, files[2] + 1024, 4 * ELEMENTS - 1024) != 0);
  for (i = 0; i < 3; i++)
    free(files[i]);
}

static void layers_are_stacked(void) {
  static const bsoup_merge_layers layers[] = {{0, 0, 2, 0}, {1, 0, 1, 0}, {2, 0, 2, 0}};
  recipe merge = {0};
  bsoup_merge_info plan = {0};
  size_t count, other;
  float *values, *source;
  start(&merge, "passthrough");
  merge.options.parameter_count = 0;
  merge.options.base = NULL;
  merge.options.layers = layers;
  plan.struct_size = sizeof plan;
  NEED_OK(bsoup_merge_plan(engine, &merge.options, &plan));
  CHECK(plan.tensor_count == 12);
  NEED_OK(bsoup_merge_files(engine, scratch("stacked"), &merge.options));
  values = merged(scratch("stacked"), "model.layers.3.mlp.up_proj.weight", &count);
  source = read_tensor(name("%s/model.safetensors", tunes[2]), UP, &other);
  CHECK(count == other && !memcmp(values, source, count * sizeof *values));
  free(values);
  free(source);
}

static void what_is_wrong_is_refused(void) {
  recipe merge = {0};
  bsoup_merge_info plan = {0};
  bsoup_cancel *cancel = NULL;
  const char *out = scratch("wrong"), *missing[] = {"nowhere", tunes[1], tunes[2]};
  plan.struct_size = sizeof plan;
  start(&merge, "ties");
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_merge_files(engine, NULL, &merge.options));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_merge_files(engine, out, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_merge_plan(engine, &merge.options, NULL));
  FAILS_SAYING(BSOUP_NOT_FOUND, "does not exist", bsoup_merge_files(engine, scratch("none/out"), &merge.options));
  merge.options.method = "stir";
  FAILS_SAYING(BSOUP_NOT_FOUND, "stir", bsoup_merge_files(engine, out, &merge.options));
  merge.options.method = "slerp";
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "weight", bsoup_merge_files(engine, out, &merge.options));
  merge.options.method = "ties";
  merge.options.base = NULL;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "base", bsoup_merge_files(engine, out, &merge.options));
  merge.options.base = base;
  merge.options.models = missing;
  FAILS(BSOUP_NOT_FOUND, bsoup_merge_files(engine, out, &merge.options));
  merge.options.models = tunes;
  merge.options.model_count = 0;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_merge_files(engine, out, &merge.options));
  merge.options.model_count = UINT32_MAX;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_merge_files(engine, out, &merge.options));
  merge.options.model_count = 3;
  merge.values[0] = NAN;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "finite", bsoup_merge_files(engine, out, &merge.options));
  merge.values[0] = 1;
  set(&merge, "density", 1.5, 0);
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "density", bsoup_merge_files(engine, out, &merge.options));
  merge.values[1] = 0.5;
  merge.parameters[1].model = 3;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "model 3", bsoup_merge_plan(engine, &merge.options, &plan));
  merge.parameters[1].model = 0;
  merge.options.format = BSOUP_FORMAT_Q4_0;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_merge_files(engine, out, &merge.options));
  merge.options.format = BSOUP_FORMAT_F32;
  NEED_OK(bsoup_cancel_create(&cancel));
  bsoup_cancel_request(cancel);
  merge.options.cancel = cancel;
  FAILS(BSOUP_CANCELLED, bsoup_merge_files(engine, out, &merge.options));
  bsoup_cancel_free(cancel);
  FAILS(BSOUP_STALE_HANDLE, bsoup_merge_files(engine, out, &merge.options));
  CHECK(access(out, F_OK) != 0);
}

int main(void) {
  uint64_t bytes = 1;
  int i;
  check_time_limit();
  base = strdup(fixture("merges/base"));
  for (i = 0; i < 3; i++)
    tunes[i] = strdup(fixture(name("merges/tune%d", i)));
  OK(bsoup_engine_create(NULL, &engine));
  RUN(every_method_says_what_it_takes);
  RUN(a_plan_is_what_the_merge_does);
  RUN(a_method_of_the_hosts_own_sees_every_element_once);
  RUN(a_seed_decides_and_threads_do_not);
  RUN(layers_are_stacked);
  RUN(what_is_wrong_is_refused);
  check_begin("nothing is left");
  OK(bsoup_engine_memory(engine, &bytes));
  CHECK(bytes == 0);
  check_end();
  bsoup_engine_free(engine);
  return check_finish();
}
